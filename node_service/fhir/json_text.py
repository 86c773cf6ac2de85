"""A pull reader over JSON text that knows where every value lies (RFC 8259), strict like :mod:`domain.jcs`.

The stored form of a resource is the received text with a few values replaced, so their places must be known
exactly. Python's own scanner reads every value that nobody needs to look into; only the levels above are walked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from typing import Final, NoReturn

from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue, finite_number, located
from domain.json_places import line_and_column

MAX_BYTES: Final = 40 << 20
MAX_VALUES: Final = 500_000
MAX_RESOURCE_VALUES: Final = 110_000
"""Values of a text and of one resource: 20 MiB of ``[]`` would take 40 times their bytes (HL7's own largest Bundle has
477,599 values, its largest resource 108,020)."""

MAX_WIDE_BYTES: Final = 20 << 20
"""Of a text with one character beyond U+FFFF: it takes four bytes for each of its characters, and so do its slices."""

MAX_ESCAPES: Final = 4_000_000
"""Backslashes of a text: each is looked at several times (no example of HL7 has a tenth of this)."""

MAX_DEPTH: Final = 64

_SPACE = re.compile(r"[ \t\n\r]*")
_KEY = re.compile(r'("(?:[^"\\\x00-\x1f]++|\\.)*+")[ \t\n\r]*:[ \t\n\r]*')
_AFTER_VALUE = re.compile(r"[ \t\n\r]*(?:(?P<comma>,)[ \t\n\r]*|(?P<closing>[}\]]))")
_STRING_OR_VALUE = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[,\[{]')
_WIDE = re.compile(b"[\xf0-\xf4]")
_BYTE_ORDER_MARK: Final = "\ufeff"


def decode(encoded: bytes, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of bounded UTF-8 bytes.

    Raises:
        Invalid: longer than ``max_bytes``, wide and longer than :data:`MAX_WIDE_BYTES`, more than :data:`MAX_VALUES`
            values or :data:`MAX_ESCAPES` backslashes, or not UTF-8.
    """
    if len(encoded) > max_bytes:
        raise Invalid(f"the JSON is longer than {max_bytes} bytes", reason="too-large")
    if len(encoded) > MAX_WIDE_BYTES and (wide := _WIDE.search(encoded)):
        detail = f"JSON with characters beyond U+FFFF is not longer than {MAX_WIDE_BYTES} bytes"
        raise Invalid(detail, reason="too-large", place=f"byte {wide.start()}")
    try:
        text = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("the text is not UTF-8", reason="not-utf8", place=f"byte {error.start}") from None
    check_count(text, MAX_VALUES)
    if text.count("\\") > MAX_ESCAPES:
        place = line_and_column(text, text.index("\\"))
        raise Invalid(f"the JSON has more than {MAX_ESCAPES} backslashes", reason="too-large", place=place)
    return text


def check_count(text: str, max_values: int) -> None:
    """Refuse a JSON text of more values than it may have, before it takes many times its length.

    Raises:
        Invalid: more than ``max_values`` items, members, arrays and objects; the place is the first one too many.
    """
    if text.count(",") + text.count("[") + text.count("{") <= max_values:
        return
    begins = (match for match in _STRING_OR_VALUE.finditer(text) if match[0] in ",[{")
    if beyond := next(islice(begins, max_values, None), None):
        place = line_and_column(text, beyond.start())
        raise Invalid(f"the JSON has more than {max_values} values", reason="too-large", place=place)


def byte_offsets(text: str, offsets: Iterable[int]) -> list[int]:
    """Offsets in the UTF-8 bytes of ascending offsets in the text, in one pass."""
    if text.isascii():
        return list(offsets)
    result: list[int] = []
    at = 0
    for start, end in pairwise([0, *offsets]):
        at += len(text[start:end].encode("utf-8"))
        result.append(at)
    return result


class Cursor:
    """A place in a JSON text. Iterate over ``members()`` or ``items()`` and consume each value before the next."""

    __slots__ = ("at", "text")

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self._skip_space()

    @classmethod
    def over(cls, text: str) -> Cursor:
        """A cursor at the first value of a text; a byte order mark before it is passed over."""
        return cls(text, len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0)

    def peek(self) -> str:
        """The character at the cursor, empty at the end of the text."""
        return self.text[self.at : self.at + 1]

    def value(self) -> JsonValue:
        """Read the whole value at the cursor.

        Raises:
            Invalid: not JSON, a key twice in one object, a number that is not finite, or nested too deeply.
        """
        try:
            value, self.at = _SCAN(self.text, self.at)
        except StopIteration as stop:
            raise _not_json(self.text, stop.value) from None
        except json.JSONDecodeError as error:
            raise _not_json(self.text, error.pos) from None
        except RecursionError:
            raise located(_too_deep(MAX_DEPTH), self.text, self.at, max_depth=MAX_DEPTH) from None
        except ValueError:
            raise _not_json(self.text, self.at) from None
        except Invalid as error:
            raise located(error, self.text, self.at) from None
        return value

    def members(self) -> Iterator[str]:
        """The keys of the object at the cursor; at each one the cursor stands at the member's value.

        Raises:
            Invalid: not an object of JSON, or the same key twice.
        """
        seen: set[str] = set()
        more = self._open("{", "}")
        while more:
            key = self._key()
            if key in seen:
                raise _duplicate_key(line_and_column(self.text, self.at))
            seen.add(key)
            yield key
            more = self._next("}")

    def items(self) -> Iterator[int]:
        """The positions in the array at the cursor; at each one the cursor stands at the item.

        Raises:
            Invalid: not an array of JSON.
        """
        position = 0
        more = self._open("[", "]")
        while more:
            yield position
            position += 1
            more = self._next("]")

    def end(self) -> None:
        """Check that nothing but white space follows.

        Raises:
            Invalid: something follows.
        """
        self._skip_space()
        if self.at != len(self.text):
            raise _not_json(self.text, self.at)

    def _open(self, opening: str, closing: str) -> bool:
        """Enter an array or object; whether it has a first element, where the cursor then stands."""
        if self.peek() != opening:
            raise _not_json(self.text, self.at)
        self.at += 1
        self._skip_space()
        if self.peek() != closing:
            return True
        self.at += 1
        return False

    def _next(self, closing: str) -> bool:
        """Pass over a comma to the next element, or leave by the closing bracket."""
        match = _AFTER_VALUE.match(self.text, self.at)
        if match is None or match["closing"] not in (None, closing):
            raise _not_json(self.text, self.at)
        self.at = match.end()
        return match["closing"] is None

    def _key(self) -> str:
        match = _KEY.match(self.text, self.at)
        if match is None:
            raise _not_json(self.text, self.at)
        key, self.at = match[1], match.end()
        if "\\" not in key:
            return key[1:-1]
        try:
            return str(json.loads(key))
        except json.JSONDecodeError:
            raise _not_json(self.text, match.start()) from None

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at


def check_depth(value: JsonValue, *, max_depth: int = MAX_DEPTH) -> None:
    """Refuse values nested deeper than ``max_depth`` arrays and objects.

    Raises:
        Invalid: too deep.
    """
    level = list(_children(value))
    for _ in range(max_depth - 1):
        if not level:
            return
        level = [child for item in level for child in _children(item)]
    if level:
        raise _too_deep(max_depth)


def _children(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, (dict, list))]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, (dict, list))]
    return ()


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    result: JsonObject = dict(pairs)
    if len(result) != len(pairs):
        raise _duplicate_key()
    return result


def _refuse_constant(constant: str) -> NoReturn:
    raise Invalid(f"{constant} is not JSON", reason="not-json")


def _duplicate_key(place: str = "") -> Invalid:
    return Invalid("an object has the same key twice", reason="duplicate-key", place=place)


def _too_deep(max_depth: int) -> Invalid:
    return Invalid(f"the JSON is nested deeper than {max_depth}", reason="too-deep")


def _not_json(text: str, at: int) -> Invalid:
    return Invalid("this is not JSON", reason="not-json", place=line_and_column(text, at))


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=finite_number, parse_constant=_refuse_constant)
_SCAN: Callable[[str, int], tuple[JsonValue, int]] = vars(_DECODER)["scan_once"]
