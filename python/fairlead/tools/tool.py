"""A function as a tool that a model may call."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from ..structured import schema as schemas
from .signature import Signature, is_method, name_of, routine_of, whole_of

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """A function that a model may call; it can be called as before, too.

    It goes into `tools=[...]` of `create`, `parse` and `run_tools` as it is; of a method, that of an object:
    `shop.price`.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._function = function
        self._signature = Signature(function)
        self._wants_object = is_method(function)
        self.name = schemas.label(name or name_of(function))
        """What the model calls it."""
        self.description = self._signature.summary if description is None else description
        """What the model is told of it."""
        self.parameters = schemas.strict(self._signature.schema) if strict else self._signature.schema
        """The JSON schema of its arguments."""
        self.is_strict = strict
        """Is the service to hold arguments to the schema?"""
        self.timeout = timeout
        """Seconds that one call may take; None is no limit of its own."""
        self.is_async = inspect.iscoroutinefunction(routine_of(function))
        """Is it awaited?"""
        self._look_like(function, description)

    def _look_like(self, function: Callable[P, R], description: str | None) -> None:
        """Frameworks make tools of their own of functions: they find in it all that they ask a function."""
        whole, routine = whole_of(function), routine_of(function)
        self.__name__ = self.name
        self.__qualname__ = getattr(whole, "__qualname__", self.name)
        self.__module__ = getattr(whole, "__module__", None) or __name__
        self.__doc__ = routine.__doc__ if description is None else description
        self.__annotations__ = self._signature.annotations
        self.__signature__ = self._signature.shown
        self.__wrapped__ = function
        if self.is_async:
            # That something is asynchronous is read from its code, if it looks like a function.
            self.__code__ = routine.__code__
            self.__defaults__ = self.__kwdefaults__ = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Tool[..., R]: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any:
        """As a method is bound to its object."""
        # Types do not tell whether there is a `self` to take off: the arguments are left unchecked.
        if instance is None or not self._wants_object:
            return self
        bound: Any = copy.copy(self)
        bound._function = bound.__wrapped__ = self._function.__get__(instance, owner)
        bound._wants_object = False
        return bound

    def parse(self, arguments: str) -> dict[str, Any]:
        """The arguments that a model wrote, validated and as the function takes them.

        Raises:
            ToolError: when they are no JSON object or do not fit.
        """
        return self._signature.read(arguments)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function with arguments by their names; of an async function, the coroutine."""
        by_position, by_name = self._signature.bound(arguments)
        function: Any = self._function
        return function(*by_position, **by_name)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The tool as it is sent.

        Raises:
            TypeError: for a method without its object.
        """
        if self._wants_object:
            raise TypeError(f"{self.__qualname__}: a method; give the tool of an object, such as shop.price")
        function = {
            "name": self.name,
            **({"description": self.description} if self.description else {}),
            "parameters": self.parameters,
            **({"strict": True} if self.is_strict else {}),
        }
        return {"type": "function", "function": function}

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a typed function, as a decorator or by a plain call.

    ```python
    @fairlead.tool
    def weather(city: str, days: int = 1) -> str:
        \"\"\"What the weather will be.

        Args:
            city: its name in English.
        \"\"\"
        return f"{days} days of sun in {city}"
    ```

    The schema is made of the annotations, with pydantic where it is installed; the descriptions of the
    docstring (Google's, numpy's or Sphinx' style), or of `Annotated[str, "..."]`.

    Args:
        function: a function, a method or an object that is called; async or not.
        name: what the model calls it. Default: its own name.
        description: what the model is told. Default: the docstring without its sections.
        strict: is the service to hold arguments to the schema? Every parameter is required then. Default:
            False.
        timeout: seconds that one call in `run_tools` may take. Default: no limit of its own.

    Raises:
        TypeError: for a parameter without annotation, or whose annotation cannot be said in JSON; for a
            class.
    """
    if isinstance(function, Tool):
        return function
    if function is not None:
        return Tool(function, **options)
    return lambda decorated: Tool(decorated, **options)
