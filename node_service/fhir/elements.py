"""Values at an element path of a resource, arrays passed through, as a simple FHIRPath reads them."""

from __future__ import annotations

from collections.abc import Iterator

from domain.jcs import JsonObject, JsonValue


def at_path(value: JsonValue, path: str) -> Iterator[JsonValue]:
    """Every value at a dotted path such as ``participant.actor``; absent elements give nothing."""
    name, _, rest = path.partition(".")
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict) or name not in one:
            continue
        found = one[name]
        if rest:
            yield from at_path(found, rest)
        elif isinstance(found, list):
            yield from found
        else:
            yield found


def objects_at(value: JsonValue, path: str) -> Iterator[JsonObject]:
    """The objects at a path; anything else there is passed over."""
    return (one for one in at_path(value, path) if isinstance(one, dict))


def text_at(value: JsonObject, name: str) -> str:
    """A string member, empty where it is absent or something else."""
    found = value.get(name)
    return found if isinstance(found, str) else ""
