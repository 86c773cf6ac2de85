"""Structural check of R4 JSON (FHIR R4, section 2.6.2 "JSON Representation") for types that R4B no longer has.

It checks what holds for every resource: names, no empty values, null only inside arrays of primitives, and the
data types that any resource can carry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from domain.jcs import JsonObject, JsonValue

_NAME = re.compile(r"_?[a-z][A-Za-z0-9]{0,63}")
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_URI = re.compile(r"\S{1,4096}")

_WHITE_SPACE: Final = " \t\r\n"
"""All that counts as white space in FHIR (R4, section 2.24.0.1): a no-break space is text."""

_OBJECTS: Final = frozenset(("meta", "text"))
_ARRAYS: Final = frozenset(("extension", "modifierExtension", "contained"))
_PATTERNS: Final = {"id": _FHIR_ID, "lastUpdated": _INSTANT, "implicitRules": _URI, "url": _URI, "system": _URI}


class Problem(NamedTuple):
    """What is wrong with a resource: place and reason, never the value."""

    place: str
    reason: str
    detail: str


def structural_problems(value: JsonObject) -> Iterator[Problem]:
    """Everything that breaks the JSON representation of FHIR, in the order of the text."""
    yield from _object_problems(value, "")


def name_of(key: object) -> str:
    """A member name as it may appear in a message: only what can be the name of an element."""
    return key if isinstance(key, str) and _NAME.fullmatch(key) else "?"


def _object_problems(value: JsonObject, place: str) -> Iterator[Problem]:
    if not value:
        yield Problem(place, "empty-value", "an object of FHIR has at least one element")
    for key, item in value.items():
        inside = f"{place}.{name_of(key)}" if place else name_of(key)
        if not _NAME.fullmatch(key):
            yield Problem(inside, "unknown-element", "no element of FHIR has such a name")
        else:
            yield from _member_problems(key, item, inside)


def _member_problems(key: str, item: JsonValue, place: str) -> Iterator[Problem]:
    if (key in _OBJECTS and not isinstance(item, (dict, str))) or (key in _ARRAYS and not isinstance(item, list)):
        yield Problem(place, "wrong-value", "the element has another JSON type in FHIR")
    elif (pattern := _PATTERNS.get(key)) and isinstance(item, str) and not pattern.fullmatch(item):
        yield Problem(place, "wrong-value", "the value does not have the form that FHIR R4 prescribes")
    elif item is None:
        yield Problem(place, "empty-value", "null may only stand in an array of primitive values")
    else:
        yield from _value_problems(item, place)


def _value_problems(item: JsonValue, place: str) -> Iterator[Problem]:
    if isinstance(item, dict):
        yield from _object_problems(item, place)
    elif isinstance(item, list):
        yield from _array_problems(item, place)
    elif isinstance(item, str) and not item.strip(_WHITE_SPACE):
        yield Problem(place, "wrong-value", "a string has text")


def _array_problems(items: list[JsonValue], place: str) -> Iterator[Problem]:
    if all(item is None for item in items):
        yield Problem(place, "empty-value", "an array of FHIR has at least one value")
    for position, item in enumerate(items):
        inside = f"{place}[{position}]"
        if isinstance(item, list):
            yield Problem(inside, "wrong-value", "an array of FHIR holds no arrays")
        elif item is not None:
            yield from _value_problems(item, inside)
