"""One FHIR resource as it was received: its bytes, what they say, and where the server's own elements go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue, check_surrogates
from domain.json_places import line_and_column, place_of
from node_service.fhir.json_text import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_RESOURCE_VALUES,
    Cursor,
    byte_offsets,
    check_count,
    check_depth,
    decode,
)
from node_service.fhir.references import Reference, find_references

_RESOURCE_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_RESOURCE_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_CONTROL = re.compile(r"\\(?:u00(?:0[0-8bcefBCEF]|1[0-9a-fA-F])|[bf])")
"""An escape of what a string may not hold (FHIR R4, section 2.24.0.1): U+0000 ends a text in many other programs.

It begins with a letter of its own, not with a look behind: that alone took two seconds in 40 MiB, and held all others.
"""
_BACKSLASH: Final = "\\\\"

_SERVER_META: Final = ("versionId", "lastUpdated")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the received bytes of a resource: offset of its first byte, offset behind its last one."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a server writes ``id``, ``meta.versionId`` and ``meta.lastUpdated`` (FHIR R4, section 3.1.0.8).

    Attributes:
        body: behind the opening brace of the resource.
        id: the value of ``id``, if there is one.
        meta: behind the opening brace of ``meta``, if there is one.
        meta_is_empty: ``meta`` has no member.
        version_id: the value of ``meta.versionId``, if there is one.
        last_updated: the value of ``meta.lastUpdated``, if there is one.
    """

    body: int
    id: Span | None = None
    meta: int | None = None
    meta_is_empty: bool = False
    version_id: Span | None = None
    last_updated: Span | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as received.

    Attributes:
        resource_type: ``resourceType`` as written.
        id: the id that the sender gave, if any.
        encoded: the received bytes.
        value: what they say; not to be changed.
        layout: where the server's own elements go.
        references: every reference, in the order of the text.
    """

    resource_type: str
    id: str | None = field(repr=False)
    encoded: bytes = field(repr=False)
    value: JsonObject = field(repr=False)
    layout: Layout = field(repr=False)
    references: tuple[Reference, ...] = field(repr=False)


def parse_resource(encoded: bytes, *, max_bytes: int = MAX_BYTES) -> Resource:
    """Read one resource that stands alone; a byte order mark and white space around it are dropped.

    Raises:
        Invalid: not strict JSON, out of bounds, or not a resource.
    """
    cursor = Cursor.over(decode(encoded, max_bytes=max_bytes))
    resource = read_resource(cursor)
    cursor.end()
    return resource


def read_resource(cursor: Cursor) -> Resource:
    """Read the resource at the cursor.

    Raises:
        Invalid: not strict JSON, nested too deeply, or not a resource.
    """
    start = cursor.at
    value, places = _read_members(cursor)
    text = cursor.text[start : cursor.at]
    try:
        _check_text(text, value)
    except Invalid as error:
        place = place_of(error.reason, cursor.text, start, max_depth=MAX_DEPTH) or line_and_column(cursor.text, start)
        raise Invalid(error.detail, reason=error.reason, place=place) from None
    if control := _CONTROL.search(text.replace(_BACKSLASH, "--")):
        place = line_and_column(cursor.text, start + control.start())
        raise Invalid("a string of FHIR holds no control characters", reason="control-character", place=place)
    return Resource(
        resource_type=check_resource_type(value),
        id=_resource_id(value),
        encoded=text.encode("utf-8"),
        value=value,
        layout=_layout(text, start, places),
        references=find_references(text),
    )


def _check_text(text: str, value: JsonObject) -> None:
    check_count(text, MAX_RESOURCE_VALUES)
    if text.count("{") + text.count("[") > MAX_DEPTH:
        check_depth(value)
    check_surrogates(text, value)


def check_resource_type(value: JsonObject) -> str:
    """The ``resourceType`` of an object.

    Raises:
        Invalid: it has none, or one that cannot be the name of a type.
    """
    resource_type = value.get("resourceType")
    if not isinstance(resource_type, str) or not _RESOURCE_TYPE.fullmatch(resource_type):
        raise Invalid("resourceType names no resource type", reason="no-resource-type", place="resourceType")
    return resource_type


def _resource_id(value: JsonObject) -> str | None:
    written = value.get("id")
    if written is None:
        return None
    if not isinstance(written, str) or not _RESOURCE_ID.fullmatch(written):
        raise Invalid("the id of a resource has 1 to 64 letters, digits, '-', '.'", reason="wrong-value", place="id")
    return written


def _read_members(cursor: Cursor) -> tuple[JsonObject, dict[str, int]]:
    """Read an object, noting the text offsets of the values that a server replaces, in ascending order."""
    value: JsonObject = {}
    places: dict[str, int] = {"body": cursor.at + 1}
    for key in cursor.members():
        start = cursor.at
        value[key] = _read_meta(cursor, places) if key == "meta" else cursor.value()
        if key == "id":
            places["id"], places["id_end"] = start, cursor.at
    return value, places


def _read_meta(cursor: Cursor, places: dict[str, int]) -> JsonValue:
    if cursor.peek() != "{":
        raise Invalid("the element is an object in FHIR", reason="wrong-value", place="meta")
    places["meta"] = cursor.at + 1
    meta: JsonObject = {}
    for key in cursor.members():
        start = cursor.at
        meta[key] = cursor.value()
        if key in _SERVER_META:
            if not isinstance(meta[key], str):
                raise Invalid("the element is a string in FHIR", reason="wrong-value", place=f"meta.{key}")
            places[key], places[f"{key}_end"] = start, cursor.at
    places["meta_members"] = len(meta)
    return meta


def _layout(text: str, start: int, places: dict[str, int]) -> Layout:
    members = places.pop("meta_members", None)
    offsets = dict(zip(places, byte_offsets(text, [at - start for at in places.values()]), strict=True))

    def span(name: str) -> Span | None:
        return Span(offsets[name], offsets[f"{name}_end"]) if name in offsets else None

    return Layout(
        body=offsets["body"],
        id=span("id"),
        meta=offsets.get("meta"),
        meta_is_empty=members == 0,
        version_id=span("versionId"),
        last_updated=span("lastUpdated"),
    )
