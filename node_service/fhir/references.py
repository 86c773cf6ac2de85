"""References between resources (FHIR R4, section 2.3 "Resource References"): where they are and of which kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from domain.jcs import JsonObject, JsonValue
from node_service.fhir.json_text import byte_offsets

MAX_REFERENCE_CHARS: Final = 4096

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"(?P<colon>[ \t\n\r]*:[ \t\n\r]*)?', re.DOTALL)
_PLAIN_MEMBER = re.compile(
    r'"(?<!\\")(?P<name>reference|url)"[ \t\n\r]*:[ \t\n\r]*(?P<value>"(?:[^"\\]++|\\.)*+")', re.DOTALL
)
_BINARY_URL = re.compile(
    r"(?:https?://[^?#]*/)?Binary/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?|urn:uuid:.+"
)
_RELATIVE = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})\?.+", re.DOTALL)
_URN = re.compile(r"urn:(?:uuid|oid):.+", re.DOTALL)
_ABSOLUTE = re.compile(
    r"https?://[^?#]*/(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?"
)


class ReferenceKind(StrEnum):
    """How a reference names its target."""

    RELATIVE = "relative"
    URN = "urn"
    ABSOLUTE = "absolute"
    CONDITIONAL = "conditional"
    CONTAINED = "contained"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reference:
    """One ``Reference.reference`` of a resource, or an ``Attachment.url`` that can name a Binary.

    Attributes:
        is_url: a ``url``; that it resolves to nothing is no finding.
        text: the reference as written, decoded.
        kind: how it names its target.
        target_type: the resource type that it names, empty where it names none.
        target_id: the id that it names, empty where it names none.
        start: offset of the JSON string, quotation marks included, in the received bytes of the resource.
        end: offset behind it.
    """

    text: str = field(repr=False)
    kind: ReferenceKind
    target_type: str
    target_id: str = field(repr=False)
    start: int
    end: int
    is_url: bool = False


def find_references(text: str) -> tuple[Reference, ...]:
    """All references of a resource in the order of its text, contained resources included.

    Args:
        text: the JSON text of the resource, already read without error.
    """
    found = [(name, _string(text[start:end]), start, end) for name, start, end in _spans(text)]
    kept = [one for one in found if is_reference(one[0], one[1])]
    offsets = iter(byte_offsets(text, [offset for _, _, start, end in kept for offset in (start, end)]))
    return tuple(_reference(name, written, next(offsets), next(offsets)) for name, written, _, _ in kept)


def is_reference(name: str, written: str) -> bool:
    """Whether a string member refers to a resource: ``reference``, or a ``url`` that can name a Binary.

    A transaction has to rewrite both (FHIR R4, section 3.1.0.11.2).
    """
    if name != "url":
        return name == "reference"
    return len(written) <= MAX_REFERENCE_CHARS and _BINARY_URL.fullmatch(written) is not None


def reference_paths(value: JsonObject) -> list[str]:
    """The elements that hold the references of a resource, such as ``performer[1]``, in the order of its text."""
    return list(_walk(value, ""))


def parse_reference(written: str) -> tuple[ReferenceKind, str, str]:
    """The kind of a reference with the resource type and id that it names (each empty where it names none)."""
    if len(written) > MAX_REFERENCE_CHARS:
        return ReferenceKind.OTHER, "", ""
    if written.startswith("#"):
        return ReferenceKind.CONTAINED, "", written[1:]
    if match := _RELATIVE.fullmatch(written):
        return ReferenceKind.RELATIVE, match["type"], match["id"]
    if _URN.fullmatch(written):
        return ReferenceKind.URN, "", ""
    if match := _ABSOLUTE.fullmatch(written):
        return ReferenceKind.ABSOLUTE, match["type"], match["id"]
    if match := _CONDITIONAL.fullmatch(written):
        return ReferenceKind.CONDITIONAL, match["type"], ""
    return ReferenceKind.OTHER, "", ""


def _reference(name: str, written: str, start: int, end: int) -> Reference:
    kind, target_type, target_id = parse_reference(written)
    return Reference(written, kind, target_type, target_id, start, end, is_url=name == "url")


def _walk(value: JsonValue, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                yield from _walk(item, f"{path}.{key}" if path else key)
            elif isinstance(item, str) and is_reference(key, item):
                yield path
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, (dict, list)):
                yield from _walk(item, f"{path}[{position}]")


def _string(literal: str) -> str:
    return str(json.loads(literal)) if "\\" in literal else literal[1:-1]


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Name and place of the string values of all members named ``reference`` or ``url``.

    In JSON that was read without error a quotation mark without a backslash before it opens or closes a string, so
    the plain search cannot hit inside one. Only ``\\u`` can spell a name in another way; then every string is read.
    """
    if "\\u" in text:
        yield from _spans_of_escaped_names(text)
    else:
        yield from ((match["name"], *match.span("value")) for match in _PLAIN_MEMBER.finditer(text))


def _spans_of_escaped_names(text: str) -> Iterator[tuple[str, int, int]]:
    name, value_at = "", -1
    for match in _STRING.finditer(text):
        if match["colon"] is not None:
            name, value_at = _string(text[match.start() : match.start("colon")]), match.end()
        elif match.start() == value_at and name in ("reference", "url"):
            yield name, *match.span()
