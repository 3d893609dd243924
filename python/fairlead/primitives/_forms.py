"""The forms in which a primitive guards a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")


class Forms:
    """A decorator and a call, for sync and async functions."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Decorate `function`, or with arguments call it; `call` calls it also without any.

        Raises:
            TypeError: for a generator function, which runs later than it is called.
        """
        if args or kwargs:
            return self.call(function, *args, **kwargs)
        return self._decorated(function)

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once under this; an async function is to be awaited.

        Raises:
            TypeError: for a generator function, which runs later than it is called.
        """
        result: Any
        if self._is_async(function):
            result = self._run_async(function, args, kwargs)
        else:
            result = self._run(function, args, kwargs)
        return result  # type: ignore[no-any-return]

    def _decorated(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self._is_async(function):

            @functools.wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                return await self._run_async(function, args, kwargs)

        else:

            @functools.wraps(function)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                return self._run(function, args, kwargs)

        return guarded

    def _is_async(self, function: Callable[..., Any]) -> bool:
        """Is it an async function? Refuses what runs later than it is called."""
        if not callable(function):
            raise TypeError(f"{type(self).__name__} expects a function: {function!r}")
        actual = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
        for one in (function, actual):
            if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
                raise TypeError(
                    f"{type(self).__name__} cannot guard the generator function {_name(function)}: it runs "
                    "while it is iterated, not when it is called; guard what it calls instead"
                )
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(actual)

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        raise NotImplementedError

    async def _run_async(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        raise NotImplementedError


_entered: ContextVar[tuple[tuple[object, Any], ...]] = ContextVar("fairlead_entered", default=())
"""What this task or thread has entered, the innermost last."""


class Guard(Forms):
    """All forms, from a context manager for one passage."""

    _open: dict[int, Any]
    """Passages that were entered with `with` or `async with`, by identity."""

    def __init__(self) -> None:
        self._open = {}

    def _passage(self) -> AbstractContextManager[Any]:
        """One passage of sync code."""
        raise NotImplementedError

    def _async_passage(self) -> AbstractAsyncContextManager[Any]:
        """One passage of async code."""
        raise NotImplementedError

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        with self._passage():
            result = function(*args, **kwargs)
        return finished(result, function)

    async def _run_async(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        async with self._async_passage():
            return await function(*args, **kwargs)

    def __enter__(self) -> Self:
        passage = self._passage()
        passage.__enter__()
        self._push(passage)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        result: bool | None = self._pop().__exit__(kind, error, trace)
        return result

    async def __aenter__(self) -> Self:
        passage = self._async_passage()
        await passage.__aenter__()
        self._push(passage)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        result: bool | None = await self._pop().__aexit__(kind, error, trace)
        return result

    def _push(self, passage: Any) -> None:
        self._open[id(passage)] = passage
        _entered.set((*_entered.get(), (self, passage)))

    def _pop(self) -> Any:
        """The passage that is left: the last that this task entered, or of another one where it entered
        none."""
        entered = _entered.get()
        for position in range(len(entered) - 1, -1, -1):
            owner, passage = entered[position]
            if owner is self and id(passage) in self._open:
                _entered.set(entered[:position] + entered[position + 1 :])
                return self._open.pop(id(passage))
        if not self._open:
            raise RuntimeError(f"{type(self).__name__} is left more often than it was entered")
        return self._open.popitem()[1]


def finished(result: Any, function: Callable[..., Any]) -> Any:
    """The result of a sync function, unless it has only begun."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{_name(function)} returned a coroutine: pass the `async def` function itself")
    return result


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
