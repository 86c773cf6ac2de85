"""Reading and writing of wire values: frozen dataclasses of JSON-like fields.

A wire value is written with every field present (``null`` where there is none). Reading is strict: a missing or an
unknown field is refused, because each of these values is signed, hashed or an argument of the contract.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def to_json(value: DataclassInstance) -> JsonObject:
    """The JSON object of a wire value: nested values become objects, tuples become lists."""
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def from_json(kind: type[Value], source: object, place: str = "") -> Value:
    """Construct a wire value from a JSON object.

    Raises:
        Invalid: not an object, a field missing or unknown, or what the value's constructor refuses.
    """
    if not isinstance(source, dict):
        raise Invalid("a JSON object is expected", place=place or kind.__name__)
    names = _names(kind)
    if source.keys() != names:
        for name in sorted(names - source.keys()):
            raise Invalid("a field is missing", place=_join(place, name))
        raise Invalid("there is a field that nobody knows", place=place or kind.__name__)
    fields: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in source.items()}
    return kind(**fields)


def _plain(value: object) -> JsonValue:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value  # type: ignore[return-value]


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


@cache
def _names(kind: type[DataclassInstance]) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))
