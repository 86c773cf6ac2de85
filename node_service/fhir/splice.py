"""The stored form of a resource: the received bytes with id, meta and resolved references spliced in.

Nothing else changes, byte for byte, and the undo list restores exactly what was received. It is sealed with the
record, so that it dies with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from domain.errors import Invalid
from domain.jcs import load
from node_service.fhir.json_text import MAX_BYTES
from node_service.fhir.resource import Resource, Span

SPLICES_FORMAT: Final = "yilian-splices-1"


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace ``length`` bytes at ``offset`` by ``replacement``."""

    offset: int
    length: int
    replacement: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.offset < 0 or self.length < 0:
            raise Invalid("a splice lies before the start of its bytes", reason="wrong-splice")


@dataclass(frozen=True, slots=True)
class SplicedResource:
    """The stored bytes of a resource, and the splices that lead from them back to the received bytes."""

    stored: bytes = field(repr=False)
    undo: tuple[Splice, ...] = field(repr=False)


def splice(
    resource: Resource, *, record_id: str, version_id: str, last_updated: str, references: Mapping[int, str]
) -> SplicedResource:
    """Write the server's id, version and time and the resolved references into the received bytes.

    Args:
        resource: as received.
        record_id: becomes ``id``.
        version_id: becomes ``meta.versionId``.
        last_updated: becomes ``meta.lastUpdated``, an instant.
        references: new text by position in ``resource.references``; all others stay as written.
    """
    changes = [
        *_identity(resource, record_id),
        *_meta(resource, {"versionId": version_id, "lastUpdated": last_updated}),
        *(_replace(_span(resource, position), text) for position, text in references.items()),
    ]
    changes.sort(key=attrgetter("offset"))
    return SplicedResource(apply(resource.encoded, changes), invert(resource.encoded, changes))


def apply(encoded: bytes, splices: Iterable[Splice]) -> bytes:
    """Bytes with splices applied, given in the order of their offsets.

    Raises:
        Invalid: splices overlap, are out of order, or lie beyond the end.
    """
    pieces: list[bytes] = []
    at = 0
    for change in splices:
        end = change.offset + change.length
        if change.offset < at or end > len(encoded):
            raise Invalid("splices overlap or lie beyond their bytes", reason="wrong-splice")
        pieces += (encoded[at : change.offset], change.replacement)
        at = end
    return b"".join((*pieces, encoded[at:]))


def invert(encoded: bytes, splices: Iterable[Splice]) -> tuple[Splice, ...]:
    """The splices that undo others, as offsets in the changed bytes."""
    undo: list[Splice] = []
    shift = 0
    for change in splices:
        original = encoded[change.offset : change.offset + change.length]
        undo.append(Splice(change.offset + shift, len(change.replacement), original))
        shift += len(change.replacement) - change.length
    return tuple(undo)


def encode_splices(splices: Sequence[Splice]) -> bytes:
    """The JSON form of a splice list, kept sealed with its record."""
    rows = [{"offset": s.offset, "length": s.length, "replacement": s.replacement.decode("utf-8")} for s in splices]
    body = {"format": SPLICES_FORMAT, "splices": rows}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode_splices(encoded: bytes) -> tuple[Splice, ...]:
    """Read what :func:`encode_splices` wrote.

    Raises:
        Invalid: it is something else.
    """
    match load(encoded, max_bytes=2 * MAX_BYTES, max_depth=3):
        case {"format": format_, "splices": list(rows)} if format_ == SPLICES_FORMAT:
            return tuple(_decode_splice(row) for row in rows)
    raise Invalid("a splice list is expected", reason="wrong-splice")


def _decode_splice(row: object) -> Splice:
    match row:
        case {"offset": int(offset), "length": int(length), "replacement": str(replacement)}:
            return Splice(offset, length, replacement.encode("utf-8"))
    raise Invalid("a splice has offset, length and replacement", reason="wrong-splice")


def _identity(resource: Resource, record_id: str) -> list[Splice]:
    if resource.layout.id is not None:
        return [_replace(resource.layout.id, record_id)]
    return [Splice(resource.layout.body, 0, b'"id":' + _quoted(record_id) + b",")]


def _meta(resource: Resource, values: dict[str, str]) -> list[Splice]:
    layout = resource.layout
    spans = {"versionId": layout.version_id, "lastUpdated": layout.last_updated}
    missing = b",".join(_quoted(key) + b":" + _quoted(values[key]) for key, span in spans.items() if span is None)
    changes = [_replace(span, values[key]) for key, span in spans.items() if span is not None]
    if layout.meta is None:
        changes.append(Splice(layout.body, 0, b'"meta":{' + missing + b"},"))
    elif missing:
        changes.append(Splice(layout.meta, 0, missing + (b"" if layout.meta_is_empty else b",")))
    return changes


def _span(resource: Resource, position: int) -> Span:
    reference = resource.references[position]
    return Span(reference.start, reference.end)


def _replace(span: Span, text: str) -> Splice:
    return Splice(span.start, span.end - span.start, _quoted(text))


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8")
