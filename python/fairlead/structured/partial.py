"""JSON that is still growing: text in pieces of any size, and at any moment the value that is there for sure.

A text that is not finished counts as far as it has come; numbers and the words `true`, `false` and `null`
count once they are finished, for `1` may become `12`. Feeding all pieces costs time linear in their length.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_DEPTH = 128
"""How deep objects and lists may nest."""


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()
"""No value is there yet."""

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_SPACE = re.compile(r"[ \t\n\r]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SCALAR = re.compile(r"[-+.0-9a-zA-Z]+")
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")

# What may come next.
_VALUE, _ITEM_OR_END, _KEY_OR_END, _KEY, _COLON, _COMMA_OR_END, _OVER = range(7)


class PartialJson:
    """One JSON document in the making.

    ```python
    growing = PartialJson()
    growing.feed('{"name": "Ad')
    assert growing.value == {"name": "Ad"}
    ```
    """

    def __init__(self) -> None:
        self._root: Any = NOTHING
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str] = []
        self._next = _VALUE
        self._rest = ""
        self._text: list[str] | None = None
        self._is_key = False
        self._shown = True

    @property
    def value(self) -> Any:
        """What is there so far; `NOTHING` before the first. It grows in place: copy what you keep."""
        self._show()
        return self._root

    @property
    def is_over(self) -> bool:
        """Is the document complete? A number at its root is so only by `finish`."""
        return self._next == _OVER

    @property
    def open(self) -> list[dict[str, Any] | list[Any]]:
        """The objects and lists that may still grow, outermost first; all others are final."""
        return self._stack

    def feed(self, text: str) -> None:
        """Add a piece. What follows the end of the document must be white space.

        Raises:
            ValueError: when no JSON document begins like this, or it nests deeper than `MAX_DEPTH`.
        """
        if self._rest:
            text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            step = self._in_text(text, at) if self._text is not None else self._between(text, at)
            if step is None:
                self._rest = text[at:]
                return
            at = step

    def finish(self) -> Any:
        """The whole document.

        Raises:
            ValueError: when it is not complete.
        """
        if self._rest and not self._stack and self._next == _VALUE:
            self.feed(" ")
        if self._next != _OVER:
            raise ValueError("the JSON document is not complete")
        return self._root

    # ===== between texts =====

    def _between(self, text: str, at: int) -> int | None:
        space = _SPACE.match(text, at)
        if space is not None:
            return space.end()
        sign = text[at]
        if self._next in (_VALUE, _ITEM_OR_END) and not (sign == "]" and self._next == _ITEM_OR_END):
            return self._begin(text, at)
        if sign == '"' and self._next in (_KEY, _KEY_OR_END):
            self._text, self._is_key = [], True
        elif sign == ":" and self._next == _COLON:
            self._next = _VALUE
        elif sign == "," and self._next == _COMMA_OR_END:
            self._next = _KEY if isinstance(self._stack[-1], dict) else _VALUE
        elif sign in "]}" and self._may_end(sign):
            self._stack.pop()
            self._after()
        else:
            raise ValueError(f"{sign!r} may not stand there in JSON")
        return at + 1

    def _may_end(self, sign: str) -> bool:
        if not self._stack:
            return False
        if sign == "}":
            return isinstance(self._stack[-1], dict) and self._next in (_KEY_OR_END, _COMMA_OR_END)
        return isinstance(self._stack[-1], list) and self._next in (_ITEM_OR_END, _COMMA_OR_END)

    def _begin(self, text: str, at: int) -> int | None:
        sign = text[at]
        if sign == '"':
            self._text, self._is_key = [], False
            self._put("")
        elif sign in "{[":
            if len(self._stack) == MAX_DEPTH:
                raise ValueError(f"nests deeper than {MAX_DEPTH} levels")
            self._stack.append(self._put({} if sign == "{" else []))
            self._next = _KEY_OR_END if sign == "{" else _ITEM_OR_END
        else:
            return self._scalar(text, at)
        return at + 1

    def _scalar(self, text: str, at: int) -> int | None:
        found = _SCALAR.match(text, at)
        if found is None:
            raise ValueError(f"{text[at]!r} may not stand there in JSON")
        word = found.group()
        if found.end() == len(text):
            if len(word) > 4096 or not (word[0] in "-0123456789" or any(w.startswith(word) for w in _WORDS)):
                raise ValueError(f"{word[:20]!r} is no JSON")
            return None
        if word in _WORDS:
            self._put(_WORDS[word])
        elif _NUMBER.fullmatch(word):
            self._put(float(word) if set(word) & set(".eE") else int(word))
        else:
            raise ValueError(f"{word[:20]!r} is no JSON")
        self._after()
        return found.end()

    def _put(self, value: Any) -> Any:
        if not self._stack:
            self._root = value
        elif isinstance(self._stack[-1], dict):
            name = self._keys.pop()
            self._stack[-1].pop(
                name, None
            )  # The member that grows is the last one, also where it is told twice.
            self._stack[-1][name] = value
        else:
            self._stack[-1].append(value)
        return value

    def _after(self) -> None:
        self._next = _COMMA_OR_END if self._stack else _OVER

    # ===== in a text =====

    def _in_text(self, text: str, at: int) -> int | None:
        assert self._text is not None
        plain = _PLAIN.match(text, at)
        if plain is not None:
            self._text.append(plain.group())
            self._shown = False
            return plain.end()
        if text[at] == '"':
            self._end_text()
            return at + 1
        if text[at] != "\\":
            raise ValueError("a control character may not stand in a JSON text")
        if at + 1 == len(text):
            return None
        self._shown = False
        if text[at + 1] == "u":
            return self._unicode(text, at)
        if text[at + 1] not in _ESCAPES:
            raise ValueError(f"\\{text[at + 1]} is no escape in JSON")
        self._text.append(_ESCAPES[text[at + 1]])
        return at + 2

    def _unicode(self, text: str, at: int) -> int | None:
        """A `\\uXXXX`, or two that are one character."""
        assert self._text is not None
        code = _code(text, at)
        if code is None:
            return None
        if not 0xD800 <= code < 0xDC00:
            self._text.append(chr(code))
            return at + 6
        if len(text) < at + 8 and (text[at + 6 :] in ("", "\\")):
            return None
        if text[at + 6 : at + 8] == "\\u":
            low = _code(text, at + 6)
            if low is None:
                return None
            if 0xDC00 <= low < 0xE000:
                self._text.append(chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)))
                return at + 12
        self._text.append(chr(code))
        return at + 6

    def _end_text(self) -> None:
        assert self._text is not None
        whole = "".join(self._text)
        if self._is_key:
            self._keys.append(whole)
            self._next = _COLON
        else:
            self._replace(whole)
            self._after()
        self._text, self._shown = None, True

    def _show(self) -> None:
        """Put the text that is growing where its value stands."""
        if self._text is None or self._is_key or self._shown:
            return
        self._text = ["".join(self._text)]
        self._replace(self._text[0])
        self._shown = True

    def _replace(self, text: str) -> None:
        if not self._stack:
            self._root = text
        elif isinstance(self._stack[-1], dict):
            self._stack[-1][next(reversed(self._stack[-1]))] = text
        else:
            self._stack[-1][-1] = text


def _code(text: str, at: int) -> int | None:
    digits = _HEX.match(text, at + 2)
    if digits is not None:
        return int(digits.group(), 16)
    if len(text) < at + 6 and re.fullmatch(r"[0-9a-fA-F]{0,3}", text[at + 2 :]):
        return None
    raise ValueError("\\u needs four hexadecimal digits in JSON")
