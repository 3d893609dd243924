"""The loop of a model that calls tools, without any waiting: it yields requests and calls.

It is sent what came of them. The same course serves threads that block and event loops.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import FairleadError, ToolLoopError, _make
from ..spending import Spending
from ..structured.course import attempts_of, shared
from ..text import arguments, said
from ..types import ChatCompletion, Receipt
from .results import sendable, text_of
from .tool import Tool, tool

REPEATS = 3
"""How often the same call may fail: same tool, same arguments."""

MOST_TURNS = 1000
"""More turns than these are not asked for."""


@dataclass
class ToolCall:
    """A call of a tool that the model asked for."""

    id: str
    """The model's own name for it."""
    name: str
    """The tool's."""
    arguments: str
    """As the model wrote them."""
    turn: int
    """In which turn, from 1."""
    state: Literal["started", "done", "failed"] = "started"
    """How it stands."""
    result: str = ""
    """What the model is told: the result, or what went wrong."""
    error: BaseException | None = None
    """What the tool raised."""
    duration: float = 0.0
    """Seconds that it took."""

    def succeeded(self, result: str, duration: float) -> None:
        """It returned."""
        self.state, self.result, self.duration = "done", sendable(result), duration

    def failed(self, words: str, error: BaseException | None, duration: float) -> None:
        """It raised, took too long, or could not be made."""
        self.state, self.result = "failed", sendable(f"error: {words}")
        self.error, self.duration = error, duration


@dataclass(frozen=True)
class ToolRun:
    """What `run_tools` did."""

    text: str
    """The model's last words; its answer where it came to one."""
    messages: list[Any]
    """The whole conversation, to go on with."""
    reply: ChatCompletion | None
    """The last reply."""
    turns: int
    """How often the model was asked."""
    calls: tuple[ToolCall, ...]
    """Every call of a tool, in order."""
    receipts: tuple[Receipt, ...] = field(repr=False)
    """Of every call of the model."""

    @property
    def spending(self) -> Spending:
        """Tokens and money of all turns together."""
        return Spending.of(self.receipts)


Steps = Generator[dict[str, Any] | list[ToolCall], Any, ToolRun]
"""Yields the arguments of `chat.completions.create`, and wants the reply; or calls, which it wants made."""


class Course:
    """One run, its arguments checked.

    Raises:
        TypeError: for a tool that is none.
        ValueError: for bounds that are none, and for two tools of one name.
    """

    def __init__(
        self,
        model: str | None,
        messages: Any,
        tools: Iterable[Any],
        params: Mapping[str, Any],
        max_turns: int,
    ) -> None:
        if not 1 <= max_turns <= MOST_TURNS:
            raise ValueError(f"`max_turns`: expected 1 to {MOST_TURNS}, not {max_turns}")
        for taken in ("messages", "tools", "stream", "n"):
            if taken in params:
                raise TypeError(f"`{taken}` cannot be given here")
        self._sent, self.tools = _tools(tools)
        given = shared(arguments(model, messages, params))
        self._messages: list[Any] = list(given.pop("messages"))
        self._params = given
        self.options: Mapping[str, Any] = given.get("fairlead") or {}
        """Of all calls together: the deadline and the purse that tools stand under too."""
        self._max_turns = max_turns
        self._reply: ChatCompletion | None = None
        self._receipts: list[Receipt] = []
        self._calls: list[ToolCall] = []
        self._failures: Counter[tuple[str, str]] = Counter()

    def steps(self) -> Steps:
        """The run, step by step.

        Raises:
            ToolLoopError: when a bound is reached before there is an answer.
        """
        for turn in range(1, self._max_turns + 1):
            try:
                reply: ChatCompletion = yield self._request(turn)
            except FairleadError as error:
                error.run = self._run("")
                raise
            self._reply = reply
            self._receipts.append(reply.fairlead)
            message = reply.choices[0].message
            called = [_call(call, turn) for call in message.tool_calls or ()]
            if not called:
                self._messages = [*self._messages, said(message)]
                return self._run(message.content or "")
            if turn == self._max_turns:
                break
            # Not before they are made: a message whose calls nobody answered cannot be sent again.
            yield called
            self._calls += called
            told = [{"role": "tool", "tool_call_id": call.id, "content": call.result} for call in called]
            self._messages = [*self._messages, said(message), *told]
            self._count(called)
        raise self._stopped("turns", f"no answer after {self._max_turns} turns")

    def _request(self, turn: int) -> dict[str, Any]:
        request = {**self._params, "messages": self._messages}
        if self._sent:
            request["tools"] = self._sent
        choice = request.get("tool_choice")
        if turn > 1 and choice is not None and choice not in ("auto", "none"):
            # A tool that is forced in every turn would never let the model answer.
            request["tool_choice"] = "auto"
        return request

    def _count(self, called: list[ToolCall]) -> None:
        for call in called:
            if call.state != "failed":
                continue
            same = (call.name, _canonical(call.arguments))
            self._failures[same] += 1
            if self._failures[same] >= REPEATS:
                times = f"{REPEATS} times: {call.result.removeprefix('error: ')}"
                raise self._stopped("repeats", f"the model's call of `{call.name}` failed {times}")

    def _run(self, text: str) -> ToolRun:
        turns = len(self._receipts)
        return ToolRun(text, self._messages, self._reply, turns, tuple(self._calls), tuple(self._receipts))

    def _stopped(self, reason: str, message: str) -> ToolLoopError:
        error: Any = _make(ToolLoopError, message)
        last = self._reply.choices[0].message.content if self._reply is not None else None
        error.reason, error.run = reason, self._run(last or "")
        error.attempts = attempts_of(self._receipts)
        stopped: ToolLoopError = error
        return stopped


def following(go_on: Callable[[Any], Any], given: Any) -> dict[str, Any] | list[ToolCall] | ToolRun:
    """What `steps` want next, or the run at their end; `go_on` is their `send` or `throw`.

    Only this is asked for the end: a hook's or a tool's own StopIteration never ends a run.
    """
    try:
        step: dict[str, Any] | list[ToolCall] = go_on(given)
    except StopIteration as done:
        run: ToolRun = done.value
        return run
    return step


def prepared(call: ToolCall, tools: Mapping[str, Tool[..., Any]]) -> tuple[Tool[..., Any], Callable[[], Any]]:
    """The tool that is meant, and the call of it.

    Raises:
        ToolError: when there is no such tool, or its arguments do not fit.
    """
    from ..errors import ToolError

    found = tools.get(call.name)
    if found is None:
        names = ", ".join(tools) or "none"
        raise _make(ToolError, f"there is no tool `{call.name}`; there are: {names}")
    given = found.parse(call.arguments)
    return found, lambda: found.call(given)


def words_of(error: BaseException) -> str:
    """What the model is told of an exception: no traceback."""
    from ..errors import ToolError

    if isinstance(error, ToolError):
        return error.message
    said = text_of(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _tools(given: Iterable[Any]) -> tuple[list[Any], dict[str, Tool[..., Any]]]:
    """The tools as they are sent, and those that are run here by name."""
    sent: list[Any] = []
    own: dict[str, Tool[..., Any]] = {}
    for one in given:
        if isinstance(one, Mapping) and one.get("type") != "function":
            sent.append(one)  # The provider runs it.
            continue
        if isinstance(one, Mapping | type) or not callable(one):
            raise TypeError(f"`tools`: expected a function or a tool made of one, not {one!r}")
        made: Tool[..., Any] = tool(one)
        if made.name in own:
            raise ValueError(f"`tools`: two are called `{made.name}`")
        own[made.name] = made
        sent.append(made)
    return sent, own


def _call(call: Any, turn: int) -> ToolCall:
    function = call.function
    if function is None:
        return ToolCall(call.id or "", call.type or "", "", turn)
    given = function.arguments
    text = given if isinstance(given, str) else json.dumps(given) if given is not None else ""
    return ToolCall(call.id or "", function.name or "", text, turn)


def _canonical(text: str) -> str:
    """The same text for arguments that are the same."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text
