"""Canonical JSON (RFC 8785, JCS) for everything that is hashed or signed, and strict reading of it.

Signed JSON is narrower than JSON (records-and-keys.md): integers within ±(2**53 - 1) and no other numbers,
strings in NFC without lone surrogates, no duplicate keys, bounded depth and size.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import NoReturn

import rfc8785

from domain.errors import Invalid
from domain.json_places import place_of

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]

MAX_SAFE_INTEGER = 2**53 - 1
MAX_SIGNED_DEPTH = 16
MAX_SIGNED_BYTES = 1 << 20
_SORTS_OTHERWISE = re.compile("[\ud800-\U0010ffff]")
"""Below, code points sort as UTF-16 does."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: object) -> bytes:
    """Return the JCS encoding of a JSON value of the signed subset.

    Raises:
        Invalid: a float, an integer out of range, a string outside NFC, a lone surrogate, too deep, or no JSON value.
    """
    check_signable(value)
    text = _ENCODER.encode(value)
    if text.isascii() or not _SORTS_OTHERWISE.search(text):  # several times faster, and both escape alike
        return text.encode()
    encoded: bytes = rfc8785.dumps(value)  # type: ignore[arg-type]
    return encoded


def parse(encoded: bytes, *, max_bytes: int = MAX_SIGNED_BYTES) -> JsonValue:
    """Read canonical JSON of the signed subset; every other spelling of the same value is refused.

    Raises:
        Invalid: too long, no JSON, a duplicate key, outside the signed subset, or not the canonical bytes.
    """
    value = load(encoded, max_bytes=max_bytes, max_depth=MAX_SIGNED_DEPTH)
    if canonical(value) != encoded:
        raise Invalid("the JSON is not in its canonical form (RFC 8785)", reason="not-canonical")
    return value


def parse_object(encoded: bytes, *, max_bytes: int = MAX_SIGNED_BYTES) -> JsonObject:
    """Read canonical JSON that must be an object.

    Raises:
        Invalid: as :func:`parse`, or not an object.
    """
    value = parse(encoded, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise Invalid("a JSON object is expected", reason="not-an-object")
    return value


def load(encoded: bytes, *, max_bytes: int, max_depth: int) -> JsonValue:
    """Read any JSON text strictly (RFC 7493): UTF-8, no duplicate keys, no NaN or Infinity, no half of a surrogate
    pair, bounded size and depth.

    Raises:
        Invalid: with the rule that is broken.
    """
    if len(encoded) > max_bytes:
        raise Invalid(f"the JSON is longer than {max_bytes} bytes", reason="too-large")
    try:
        text = encoded.decode("utf-8")
        _check_depth(encoded, text, max_depth)
        value: JsonValue = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise Invalid("the text is not UTF-8", reason="not-utf8", place=f"byte {error.start}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise Invalid("this is not JSON", reason="not-json", place=place) from None
    except (RecursionError, ValueError):
        place = place_of("not-json", text)
        raise Invalid("this is not JSON that can be read", reason="not-json", place=place) from None
    except Invalid as error:
        raise located(error, text) from None
    check_surrogates(text, value)
    return value


def located(error: Invalid, text: str, start: int = 0, *, max_depth: int = 0) -> Invalid:
    """The error with the place where the text, from ``start`` on, breaks the rule."""
    place = error.place or place_of(error.reason, text, start, max_depth=max_depth)
    return Invalid(error.detail, reason=error.reason, place=place)


def check_surrogates(text: str, value: JsonValue) -> None:
    """Refuse strings with half a surrogate pair, which no UTF-8 store could keep; only an escape can write one.

    Raises:
        Invalid: there is one.
    """
    if not _SURROGATE_ESCAPE.search(text):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        place = place_of("lone-surrogate", text)
        raise Invalid("a string holds a lone surrogate", reason="lone-surrogate", place=place) from None


def check_signable(value: object, *, depth: int = 0) -> None:
    """Check that a value belongs to the signed subset.

    Raises:
        Invalid: with the rule that is broken.
    """
    if depth > MAX_SIGNED_DEPTH:
        raise Invalid(f"the JSON is nested deeper than {MAX_SIGNED_DEPTH}", reason="too-deep")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise Invalid("an integer is beyond 2**53 - 1", reason="integer-range")
    elif isinstance(value, list):
        _check_items(value, depth + 1)
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Invalid("an object key is not a string", reason="not-json")
            if not key.isascii():  # spares a call for most
                _check_text(key)
        _check_items(value.values(), depth + 1)
    else:
        raise Invalid(f"{type(value).__name__} has no place in signed JSON", reason="not-signable")


def _check_items(items: Iterable[object], depth: int) -> None:
    for item in items:
        if isinstance(item, str) and item.isascii() and depth <= MAX_SIGNED_DEPTH:
            continue  # most values: spares a call each
        check_signable(item, depth=depth)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("a string holds a lone surrogate", reason="lone-surrogate") from None
    if not unicodedata.is_normalized("NFC", text):
        raise Invalid("a string is not in Unicode form NFC", reason="not-nfc")


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    result: JsonObject = dict(pairs)
    if len(result) != len(pairs):
        raise Invalid("an object has the same key twice", reason="duplicate-key")
    return result


def finite_number(literal: str) -> float:
    """The number of a literal with fraction or exponent.

    Raises:
        Invalid: beyond what IEEE 754 binary64 can hold (RFC 7493 section 2.2).
    """
    number = float(literal)
    if not math.isfinite(number):
        raise Invalid("a number is too large", reason="not-json")
    return number


def _refuse_constant(constant: str) -> NoReturn:
    raise Invalid(f"{constant} is not JSON", reason="not-json")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=finite_number, parse_constant=_refuse_constant)

# A string that never ends is consumed all the same: else each of its escaped quotes would begin another search.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def _check_depth(encoded: bytes, text: str, max_depth: int) -> None:
    """Refuse deep nesting before the recursive parser sees it; brackets within strings do not count."""
    if encoded.count(b"[") + encoded.count(b"{") <= max_depth:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(encoded):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > max_depth:
                place = place_of("too-deep", text, max_depth=max_depth)
                raise Invalid(f"the JSON is nested deeper than {max_depth}", reason="too-deep", place=place)
        elif token in (b"]", b"}"):
            depth -= 1
