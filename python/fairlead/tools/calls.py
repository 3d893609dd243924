"""`run_tools`: what clients offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from ..resources.chat import AsyncChat, Chat
    from ..types.params import Message, ToolParams
    from .course import ToolCall, ToolRun

# The rest of this package is imported with the first call: most clients never need it.


class AsyncToolCalls:
    """Models that call tools."""

    if TYPE_CHECKING:

        @property
        def chat(self) -> AsyncChat: ...

    async def run_tools(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        tools: Iterable[Any],
        *,
        max_turns: int = 10,
        max_parallel: int = 8,
        tool_timeout: float | None = None,
        on_tool: Callable[[ToolCall], Any] | None = None,
        **params: Unpack[ToolParams],
    ) -> ToolRun:
        """Let a model call tools until it answers.

        The calls of a turn are made side by side; sync functions in threads. Arguments that do not fit,
        unknown tools and whatever a tool raises are told to the model in a sentence. What tools ask of
        models themselves is under the same deadline and budget: those of the scope and those in `fairlead=`.

        Args:
            model: None where a default is known.
            messages: the prompt as a plain string, or messages.
            tools: functions, and tools made of them by `fairlead.tool`; dicts of tools that the provider
                runs.
            max_turns: how often the model is asked at most. Default: 10.
            max_parallel: calls of tools at once. Default: 8.
            tool_timeout: seconds that one may take; `fairlead.tool(timeout=)` of a tool wins. Default: no
                limit but the deadline.
            on_tool: called, or awaited, when a call begins and when it has ended; what it raises ends the
                run.
            params: as of `chat.completions.create`.

        Returns:
            The answer, the whole conversation, every call, and what it came to.

        Raises:
            ToolLoopError: when there is no answer after `max_turns`, or the same call failed three times;
                `run` is what was done until then.
            FairleadError: as `chat.completions.create`, with `run` too.
        """
        from .course import Course, ToolRun, following
        from .running import Workshop

        course = Course(model, messages, tools, params, max_turns)
        workshop = Workshop(course.tools, course.options, max_parallel, tool_timeout, on_tool)
        steps = course.steps()
        step = following(steps.send, None)
        while not isinstance(step, ToolRun):
            if isinstance(step, list):
                await workshop.run(step)
                step = following(steps.send, None)
                continue
            try:
                reply = await self.chat.completions.create(**step)
            except Exception as error:
                step = following(steps.throw, error)
            else:
                step = following(steps.send, reply)
        return step


class ToolCalls:
    """As `AsyncToolCalls`, for threads that block."""

    if TYPE_CHECKING:

        @property
        def chat(self) -> Chat: ...

    def run_tools(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        tools: Iterable[Any],
        *,
        max_turns: int = 10,
        max_parallel: int = 8,
        tool_timeout: float | None = None,
        on_tool: Callable[[ToolCall], Any] | None = None,
        **params: Unpack[ToolParams],
    ) -> ToolRun:
        """As `AsyncClient.run_tools`; async functions get an event loop in their thread."""
        from .course import Course, ToolRun, following
        from .running import Workshop

        course = Course(model, messages, tools, params, max_turns)
        workshop = Workshop(course.tools, course.options, max_parallel, tool_timeout, on_tool)
        steps = course.steps()
        step = following(steps.send, None)
        while not isinstance(step, ToolRun):
            if isinstance(step, list):
                workshop.block(step)
                step = following(steps.send, None)
                continue
            try:
                reply = self.chat.completions.create(**step)
            except Exception as error:
                step = following(steps.throw, error)
            else:
                step = following(steps.send, reply)
        return step
