"""The course of one call for an object, without any waiting: it yields requests and is sent their answers.

The same course serves threads that block, event loops and streams.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .._core import Deadline, Purse
from ..errors import (
    BadRequestError,
    ContentFilterFinishReasonError,
    FairleadError,
    LengthFinishReasonError,
    NotFoundError,
    StructuredOutputError,
    UnprocessableEntityError,
    _make,
)
from ..spending import Spending
from ..text import arguments
from ..types import ChatCompletion, Receipt
from .memory import Memory
from .target import Mismatch, Target, target_of
from .way import NEXT, Mode, Way, answer_in, asked, is_about_the_schema, is_refused, mending

Answer = TypeVar("Answer")

MOST_REPAIRS = 10
"""More repairs than these are not asked for."""

_TAKEN = {
    "messages": "messages",
    "stream": "stream_structured",
    "tools": "run_tools",
    "tool_choice": "mode",
    "n": "several calls",
}
_REFUSALS = (BadRequestError, NotFoundError, UnprocessableEntityError)


@dataclass(frozen=True)
class Structured(Generic[Answer]):
    """An object that was asked for, and how it came about."""

    value: Answer
    """The validated object."""
    way: Way
    """How the model was asked."""
    repairs: int
    """How often it was shown what was wrong with its answer."""
    reply: ChatCompletion
    """The reply that held the object."""
    receipts: tuple[Receipt, ...]
    """Of every call that was answered, in order."""

    @property
    def spending(self) -> Spending:
        """Tokens and money of all of them together."""
        return Spending.of(self.receipts)


Course = Generator[dict[str, Any], tuple[ChatCompletion, Receipt], Structured[Any]]
"""Yields the arguments of `chat.completions.create`; wants the reply and its receipt."""


class Order:
    """A call for an object, its arguments checked.

    Raises:
        TypeError: for a schema that is none, and for arguments that belong elsewhere.
        ValueError: for a mode or a number of repairs that is none.
    """

    def __init__(
        self,
        model: str | None,
        messages: Any,
        schema: Any,
        params: Mapping[str, Any],
        *,
        configuration: str,
        mode: Mode = "auto",
        repairs: int = 1,
        strict: bool | None = None,
        name: str | None = None,
    ) -> None:
        for taken, instead in _TAKEN.items():
            if taken in params:
                raise TypeError(f"`{taken}` cannot be given here: use {instead}")
        if mode not in ("auto", "json_schema", "tool", "prompt"):
            raise ValueError(f"`mode`: {mode!r} is none of auto, json_schema, tool, prompt")
        if not isinstance(repairs, int) or not 0 <= repairs <= MOST_REPAIRS:
            raise ValueError(f"`repairs`: expected 0 to {MOST_REPAIRS}, not {repairs}")
        self.target: Target = target_of(schema, name=name, strict=strict)
        self._mode: Mode = mode
        self._repairs = repairs
        given = arguments(model, messages, params)
        self._messages: list[Any] = list(given.pop("messages"))
        self._params = shared(given)
        self._known_as = (configuration, model)
        self.way: Way = "json_schema"
        """How the model is being asked now."""

    def course(self, memory: Memory) -> Course:
        """The requests, one after the other, until there is an object.

        Raises:
            StructuredOutputError: when the last answer that may be asked for does not fit either, or the
                model refused.
            LengthFinishReasonError: when an answer was cut off.
            ContentFilterFinishReasonError: when a filter cut it off.
        """
        self.way = memory.recall(*self._known_as) if self._mode == "auto" else self._mode
        learned: Way | None = None
        messages, receipts, repairs = self._messages, [], 0
        while True:
            try:
                reply, receipt = yield asked(self.way, self.target, messages, self._params)
            except _REFUSALS as error:
                if self._mode != "auto" or self.way not in NEXT or not is_refused(error, self.way):
                    raise
                learned = learned if is_about_the_schema(error) else NEXT[self.way]
                self.way = NEXT[self.way]
                continue
            receipts.append(receipt)
            message = _message_of(reply, receipts)
            try:
                value = self.target.read(answer_in(self.way, message))
            except Mismatch as mismatch:
                if repairs == self._repairs:
                    raise _failure(
                        self.way, message, mismatch.problems, reply, receipts, repairs
                    ) from mismatch
                messages = [*messages, *mending(self.target, message, mismatch)]
                repairs += 1
                if self._mode == "auto" and self.way in NEXT and not mismatch.has_json:
                    # Some hosts take what they do not know and pass over it.
                    learned = self.way = NEXT[self.way]
                continue
            if learned is not None:
                memory.remember(*self._known_as, learned)
            return Structured(value, self.way, repairs, reply, tuple(receipts))


def shared(params: dict[str, Any]) -> dict[str, Any]:
    """The same, with one deadline and one purse for all calls that are made with it."""
    options = dict(params.get("fairlead") or {})
    if isinstance(options.get("deadline"), int | float):
        options["deadline"] = Deadline(options["deadline"])
    if isinstance(options.get("budget"), int | float):
        options["budget"] = Purse(options["budget"])
    return {**params, "fairlead": options} if options else params


def _message_of(reply: ChatCompletion, receipts: list[Receipt]) -> Any:
    """The message of the first choice, if it came to its end."""
    choice = reply.choices[0]
    if choice.finish_reason == "length":
        raise _cut(LengthFinishReasonError, "the answer was cut off by its length limit", reply)
    if choice.finish_reason == "content_filter":
        raise _cut(ContentFilterFinishReasonError, "the answer was cut off by a content filter", reply)
    if choice.message.refusal:
        error = _failure("prompt", choice.message, [], reply, receipts, 0)
        error.message = f"the model refused: {_short(choice.message.refusal)}"
        error.refusal = choice.message.refusal
        raise error
    return choice.message


def _failure(
    way: Way, message: Any, problems: list[str], reply: Any, receipts: Iterable[Receipt], repairs: int
) -> StructuredOutputError:
    after = f" after {repairs} repairs" if repairs else ""
    faults = "; ".join(problems)
    error: Any = _make(StructuredOutputError, f"the answer does not fit the schema{after}: {faults}")
    told = list(receipts)
    error.raw, error.errors, error.repairs, error.completion = (
        answer_in(way, message),
        problems,
        repairs,
        reply,
    )
    error.attempts = attempts_of(told)
    if told:
        error.model, error.deployment, error.provider = told[-1].model, told[-1].deployment, told[-1].provider
    made: StructuredOutputError = error
    return made


def attempts_of(receipts: Iterable[Receipt]) -> tuple[Any, ...]:
    """Every upstream request of these calls, in order."""
    from ..errors import Attempt

    return tuple(
        Attempt(line.deployment, line.error, line.status, line.duration, line.request_id, line.counted)
        for receipt in receipts
        for line in receipt.attempts or ()
    )


def _cut(leaf: type[FairleadError], message: str, reply: Any) -> FairleadError:
    error: Any = _make(leaf, message)
    error.completion = reply
    made: FairleadError = error
    return made


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
