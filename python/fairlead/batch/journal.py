"""A file of finished requests, so that a batch that was stopped goes on where it was.

One JSON object a line: the place of the request, a digest of it, and the reply or what failed. Neither
prompts nor keys are written. A line is complete in the file before its result is handed on; what a crash tore
off is cut away.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from typing import Any, NamedTuple

from .. import _core, errors
from ..errors import ConfigError, FairleadError, _make
from ..types import ChatCompletion, CreateEmbeddingResponse
from .requests import Item
from .results import Result

FORMAT = 1
"""Of the lines; another one is not read."""

_HEAD = {"fairlead_batch": FORMAT}


class _Line(NamedTuple):
    digest: str
    ok: bool
    start: int
    length: int


class Journal:
    """The journal at `path`, created if it is not there; this process alone writes it until it is closed.

    Args:
        path: a file of lines of JSON.
        retry_failed: ask again what failed in an earlier run.

    Raises:
        ConfigError: when the file is no journal, or another process writes it.
        OSError: when it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, retry_failed: bool) -> None:
        self._path = os.fspath(path)
        self._retry_failed = retry_failed
        self._lines: dict[int, _Line] = {}
        self._file: io.BufferedRandom = open(self._path, "a+b")  # noqa: SIM115 - closed by `close`
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def restored(self, item: Item) -> Result | None:
        """What came of `item` in an earlier run; None where it must be asked."""
        line = self._lines.get(item.index)
        if line is None or (self._retry_failed and not line.ok) or line.digest != item.digest:
            return None
        told = json.loads(os.pread(self._file.fileno(), line.length, line.start))
        return _result(item, told)

    def write(self, item: Item, result: Result) -> None:
        """Adds what came of `item`."""
        told: dict[str, Any] = {"index": item.index, "request": item.digest, "seconds": result.seconds}
        if result.error is None:
            told |= {"tokens": [result.input_tokens, result.output_tokens], "cost_usd": result.cost_usd}
            told["reply"] = json.loads(result.value._raw)
        else:
            told["error"] = {"type": type(result.error).__name__, "message": str(result.error)}
        self._file.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Gives the file up."""
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"`journal`: another process writes {self._path}") from None

    def _read(self) -> None:
        self._file.seek(0)
        start = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                # Only a line that was being written when the process ended has no end.
                self._file.truncate(start)
                break
            told = self._parsed(number, line)
            if number > 1:
                self._lines[told["index"]] = _Line(told["request"], "reply" in told, start, len(line))
            start += len(line)
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() == 0:
            self._file.write(json.dumps(_HEAD).encode() + b"\n")
            self._file.flush()

    def _parsed(self, number: int, line: bytes) -> Any:
        try:
            told = json.loads(line)
            is_ours = (
                told == _HEAD if number == 1 else told["index"] >= 0 and isinstance(told["request"], str)
            )
        except (ValueError, TypeError, KeyError):
            is_ours = False
        if not is_ours:
            raise ConfigError(f"`journal`: line {number} of {self._path} is not of a batch's journal")
        return told


def _result(item: Item, told: Any) -> Result:
    if "error" in told:
        named = getattr(errors, told["error"]["type"], FairleadError)
        leaf = named if isinstance(named, type) and issubclass(named, FairleadError) else FairleadError
        error = _make(leaf, told["error"]["message"])
        return Result(item.index, error=error, seconds=told["seconds"], restored=True)
    kind = CreateEmbeddingResponse if item.is_embedding else ChatCompletion
    text = json.dumps(told["reply"], ensure_ascii=False).encode()
    return Result(
        item.index,
        value=_core._load_model(kind, text),
        seconds=told["seconds"],
        restored=True,
        input_tokens=told["tokens"][0],
        output_tokens=told["tokens"][1],
        cost_usd=told["cost_usd"],
    )
