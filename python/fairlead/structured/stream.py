"""Objects that grow while a model writes them, and the validated one at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..accumulate import ChatCompletionStreamState
from ..stream import AsyncStream, Stream
from ..types import ChatCompletionChunk, Receipt
from .course import Order, Structured
from .memory import Memory
from .partial import NOTHING
from .way import Way

Answer = TypeVar("Answer")


class _Turn:
    """One streamed answer."""

    def __init__(self, order: Order) -> None:
        self._way = order.way
        self._growing = order.target.growing()
        self._state = ChatCompletionStreamState()

    def add(self, chunk: ChatCompletionChunk) -> Any:
        """What the object is with this chunk; `NOTHING` where it adds nothing."""
        self._state.handle_chunk(chunk)
        piece = _piece_of(self._way, chunk)
        return self._growing.feed(piece) if piece else NOTHING

    def reply(self) -> Any:
        return self._state.get_final_completion()


def _piece_of(way: Way, chunk: ChatCompletionChunk) -> str:
    """What the chunk adds to the text that becomes the object."""
    for choice in chunk.choices or ():
        if choice.index not in (0, None) or choice.delta is None:
            continue
        if way != "tool":
            return choice.delta.content or ""
        functions = [call.function for call in choice.delta.tool_calls or () if not call.index]
        return "".join(function.arguments or "" for function in functions if function is not None)
    return ""


class _StructuredStream(Generic[Answer]):
    """What both kinds of streams share: the course, and where it stands."""

    def __init__(self, order: Order, memory: Memory) -> None:
        self._order = order
        self._course = order.course(memory)
        self._turn: _Turn | None = None
        self._is_over = False
        self._result: Structured[Answer] | None = None

    @property
    def result(self) -> Structured[Answer]:
        """The validated object and how it came about, once the stream has ended.

        Raises:
            RuntimeError: before.
        """
        if self._result is None:
            raise RuntimeError("the stream has not ended yet")
        return self._result

    def _first(self) -> dict[str, Any]:
        return next(self._course)

    def _end(self, receipt: Receipt) -> dict[str, Any] | None:
        """An answer is complete: the next request, or None where the object is there."""
        assert self._turn is not None
        turn, self._turn = self._turn, None
        try:
            return self._course.send((turn.reply(), receipt))
        except StopIteration as done:
            self._result = done.value
            return None


class AsyncStructuredStream(_StructuredStream[Answer], AsyncIterator[Answer]):
    """`async for` gives the object as it grows, then the validated one. The call starts with the first step.

    Partial objects are of the class that was asked for, but not validated: members that have not arrived are
    None. Where an answer has to be mended, the object grows anew.
    """

    def __init__(
        self,
        start: Callable[[dict[str, Any]], Awaitable[AsyncStream[ChatCompletionChunk]]],
        order: Order,
        memory: Memory,
    ) -> None:
        super().__init__(order, memory)
        self._start = start
        self._chunks: AsyncStream[ChatCompletionChunk] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Answer:
        if self._is_over:
            raise StopAsyncIteration
        try:
            return await self._step()
        except BaseException:
            await self.aclose()
            raise

    async def _step(self) -> Answer:
        if self._chunks is None or self._turn is None:
            await self._open(self._first())
        while self._chunks is not None and self._turn is not None:
            async for chunk in self._chunks:
                partial = self._turn.add(chunk)
                if partial is not NOTHING:
                    found: Answer = partial
                    return found
            following = self._end(self._chunks.fairlead)
            if following is None:
                break
            await self._open(following)
        self._is_over = True
        return self.result.value

    async def _open(self, request: dict[str, Any]) -> None:
        while True:
            try:
                self._chunks = await self._start(request)
            except Exception as error:
                request = self._course.throw(error)
            else:
                self._turn = _Turn(self._order)
                return

    async def final(self) -> Answer:
        """Read to the end; the validated object."""
        async for _ in self:
            pass
        return self.result.value

    async def aclose(self) -> None:
        """Stop reading."""
        self._is_over = True
        if self._chunks is not None:
            await self._chunks.close()

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class StructuredStream(_StructuredStream[Answer], Iterator[Answer]):
    """As `AsyncStructuredStream`, for threads that block."""

    def __init__(
        self,
        start: Callable[[dict[str, Any]], Stream[ChatCompletionChunk]],
        order: Order,
        memory: Memory,
    ) -> None:
        super().__init__(order, memory)
        self._start = start
        self._chunks: Stream[ChatCompletionChunk] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Answer:
        if self._is_over:
            raise StopIteration
        try:
            return self._step()
        except BaseException:
            self.close()
            raise

    def _step(self) -> Answer:
        if self._chunks is None or self._turn is None:
            self._open(self._first())
        while self._chunks is not None and self._turn is not None:
            for chunk in self._chunks:
                partial = self._turn.add(chunk)
                if partial is not NOTHING:
                    found: Answer = partial
                    return found
            following = self._end(self._chunks.fairlead)
            if following is None:
                break
            self._open(following)
        self._is_over = True
        return self.result.value

    def _open(self, request: dict[str, Any]) -> None:
        while True:
            try:
                self._chunks = self._start(request)
            except Exception as error:
                request = self._course.throw(error)
            else:
                self._turn = _Turn(self._order)
                return

    def final(self) -> Answer:
        """Read to the end; the validated object."""
        for _ in self:
            pass
        return self.result.value

    def close(self) -> None:
        """Stop reading."""
        self._is_over = True
        if self._chunks is not None:
            self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
