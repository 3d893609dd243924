"""What reply classes are made of."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

from .._core import Field, Model, _encode, _load_model


class BaseModel(Model):
    """An object of a reply: frozen, read lazily from the bytes that were received.

    Subclasses declare members as annotations. A declared member that was not received reads as `None`; one
    that is not declared is an attribute all the same, and listed in `model_extra`.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, vector: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields = dict(getattr(cls, "__fields__", {}))
        for name, annotation in cls.__annotations__.items():
            fields[name] = Field(name, _model_in(annotation), vector=name == vector)
            setattr(cls, name, fields[name])
        cls.__fields__ = fields

    @classmethod
    def model_validate(cls, value: Any, /) -> Self:
        """An instance from a mapping, or `value` itself if it is one. Nothing is checked but the JSON.

        Raises:
            ConfigError: when `value` has no JSON form.
        """
        return value if isinstance(value, cls) else cls.model_validate_json(_encode(value))

    @classmethod
    def model_validate_json(cls, text: str | bytes, /) -> Self:
        """An instance from JSON text.

        Raises:
            ValueError: when `text` is no JSON.
        """
        loaded: Self = _load_model(cls, text.encode() if isinstance(text, str) else text)
        return loaded

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The object as JSON text; `options` are those of `model_dump`."""
        if indent is None:
            return _encode(self.model_dump(**options)).decode() if options else self._raw
        return json.dumps(self.model_dump(**options), indent=indent, ensure_ascii=False)

    def to_dict(self, *, mode: str = "python", exclude_none: bool = False, **options: Any) -> dict[str, Any]:
        """`model_dump` under the name of the OpenAI SDK."""
        return self.model_dump(mode=mode, exclude_none=exclude_none)

    def to_json(self, *, indent: int | None = 2, exclude_none: bool = False, **options: Any) -> str:
        """`model_dump_json` under the name of the OpenAI SDK, indented unless told otherwise."""
        return self.model_dump_json(indent=indent, exclude_none=exclude_none)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        """How pydantic (and so FastAPI) takes and writes these objects."""
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls.model_validate},
            "serialization": {"type": "function-plain", "function": _dump},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Callable[[Any], Any]) -> Any:
        """What FastAPI's documentation says about these objects."""
        return {"type": "object", "title": cls.__name__, "additionalProperties": True}


def _dump(model: Any) -> Any:
    return model.model_dump()


def _model_in(annotation: Any) -> type[Model] | None:
    """The reply class inside `list[X]`, `X | None` and the like."""
    annotation = get_origin(annotation) if _is_model(get_origin(annotation)) else annotation
    if _is_model(annotation):
        found: type[Model] = annotation
        return found
    for part in get_args(annotation):
        inner = _model_in(part)
        if inner is not None:
            return inner
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Model)
