"""The recorded traffic that the corpus tests replay: where it lies, how it is read, cut and served.

The corpus is not part of the project. It is looked for in `shared/corpus` beside the project, or where the
variable `FAIRLEAD_CORPUS` says; tests that need it skip where it is missing.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fairlead.testing import Reply, Step, raw
from fairlead.testing.request import Request
from fairlead.testing.steps import Modified

FOLDER = Path(os.environ.get("FAIRLEAD_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")

needs_corpus = pytest.mark.skipif(
    not (FOLDER / "openai.chat.jsonl.gz").is_file(),
    reason=f"no corpus in {FOLDER}; FAIRLEAD_CORPUS says where it is",
)

ITEM = "x-corpus-item"
"""The request header that says which interaction to serve."""

SPLIT = "x-corpus-split"
"""The request header that says how its body is cut."""

MESSAGES = [{"role": "user", "content": "hi"}]
"""What is asked where no request was recorded."""

NAMELESS = {
    "bedrock",
    "bedrock-mantle",
    "cohere",
    "crusoe",
    "heroku",
    "pydantic-gateway",
    "vertex",
    "writer",
}
"""The recorded providers without a preset for this dialect: OpenAI-compatible hosts of no name."""


@dataclass(frozen=True, eq=False)
class Item:
    """One recorded interaction."""

    id: str
    provider: str
    api: str
    request: dict[str, Any]
    status: int
    headers: Mapping[str, str]
    body: bytes
    streaming: bool
    expect: Mapping[str, Any]

    @classmethod
    def from_json(cls, text: str) -> Item:
        """An interaction from its line."""
        line = json.loads(text)
        response = line["response"]
        return cls(
            id=line["id"],
            provider=line["provider"],
            api=line["api"],
            request=(line.get("request") or {}).get("body") or {},
            status=response["status"],
            headers={name.lower(): value for name, value in response["headers"].items()},
            body=response["body_text"].encode(),
            streaming=bool(response["streaming"]),
            expect=line.get("expect", {}),
        )

    @property
    def is_chat(self) -> bool:
        """A chat completion, else embeddings."""
        return self.api == "openai.chat"

    @property
    def asks_for_stream(self) -> bool:
        """Did the request ask for a stream?"""
        return self.streaming or bool(self.request.get("stream"))

    @property
    def model(self) -> str:
        """The model that was asked for, or one of our own where it stood in the URL."""
        return self.request.get("model") or "recorded"

    @property
    def preset(self) -> str:
        """The provider under which a client knows it."""
        return "openai-compatible" if self.provider in NAMELESS else self.provider

    @property
    def arguments(self) -> dict[str, Any]:
        """The recorded request, ready for a client; where there is none, one that such a reply answers."""
        if not self.is_chat:
            return {"input": "hi", **self.request}
        if self.streaming and "messages" not in self.request:
            return {"messages": MESSAGES, "stream_options": {"include_usage": True}, **self.request}
        return {"messages": MESSAGES, **self.request}

    def deployment(self, base_url: str) -> dict[str, Any]:
        """A deployment that serves it, as configuration."""
        return {"provider": self.preset, "model": self.model, "api_key": "sk-test", "base_url": base_url}


@functools.cache
def items(api: str) -> tuple[Item, ...]:
    """The interactions of one API; none where the corpus is missing."""
    path = FOLDER / f"{api}.jsonl.gz"
    if not path.is_file():
        return ()
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return tuple(map(Item.from_json, lines))


@functools.cache
def errors() -> tuple[Item, ...]:
    """The errors, with what each is expected to come to; none where the corpus is missing."""
    path = FOLDER / "errors.jsonl"
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="\n") as lines:
        return tuple(map(Item.from_json, lines))


# ===== cutting =====


def whole(body: bytes, seed: str) -> Iterator[bytes]:
    """In one piece."""
    yield body


def by_event(body: bytes, seed: str) -> Iterator[bytes]:
    """A piece for each event."""
    yield from (piece.group() for piece in re.finditer(rb".+?(?:\r?\n\r?\n|\Z)", body, re.DOTALL))


def by_byte(body: bytes, seed: str) -> Iterator[bytes]:
    """A piece for each byte."""
    yield from (body[place : place + 1] for place in range(len(body)))


def at_random(body: bytes, seed: str) -> Iterator[bytes]:
    """Small and large pieces, the same each time."""
    choose = random.Random(seed)
    place = 0
    while place < len(body):
        size = choose.randint(1, choose.choice((3, 40, 2000)))
        yield body[place : place + size]
        place += size


def unfinished(body: bytes, seed: str) -> Iterator[bytes]:
    """The events before the one that says why the answer ended; the rest is lost."""
    for piece in by_event(body, seed):
        if b"[DONE]" in piece or re.search(rb'"finish_reason": ?"[a-z]', piece):
            return
        yield piece


SPLITS: Mapping[str, Callable[[bytes, str], Iterator[bytes]]] = {
    "whole": whole,
    "event": by_event,
    "random": at_random,
    "byte": by_byte,
    "unfinished": unfinished,
}
"""The ways to cut a body into chunks of the transfer coding, each of which reaches a reader by itself."""

_FRAMING = ("content-length", "transfer-encoding", "content-encoding", "connection")


def _head(item: Item, length: str) -> bytes:
    fields = {name: value for name, value in item.headers.items() if name not in _FRAMING}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {item.status} Recorded\r\n{lines}{length}\r\n\r\n".encode("latin-1")


BY_WRITE = "write"
"""Not the body but the reply, head and framing included, in a write to the socket for each byte."""


def reply(item: Item, split: str) -> Step:
    """The recorded reply: byte for byte its body, cut as `split` says."""
    if split == BY_WRITE:
        return Modified(reply(item, "event" if item.streaming else "whole"), size=1)
    if split == "whole" and not item.streaming:
        fields = {name: value for name, value in item.headers.items() if name not in _FRAMING}
        return Reply(status=item.status, headers=fields, body=item.body)
    pieces = SPLITS[split](item.body, item.id)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return raw(_head(item, "transfer-encoding: chunked") + chunks + b"0\r\n\r\n", close=False)


class Service:
    """Answers a request with the interaction that its headers name."""

    def __init__(self, served: tuple[Item, ...]) -> None:
        self._items = {item.id: item for item in served}

    def __call__(self, request: Request) -> Step:
        return reply(self._items[request.headers[ITEM]], request.headers[SPLIT])
