"""Bundles (FHIR R4, section 2.36): split into a skeleton and the resources of the entries, and put together again.

The skeleton is everything outside the resources, byte for byte: order, fullUrl, request, white space. With the
stored form and the undo list of every resource the received bytes come back exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue, load
from node_service.fhir.json_text import MAX_BYTES, Cursor, check_depth, decode
from node_service.fhir.resource import Resource, read_resource
from node_service.fhir.splice import Splice, apply

BUNDLE_TYPES: Final = frozenset(
    ("transaction", "batch", "collection", "document", "searchset", "history", "message",
     "transaction-response", "batch-response")
)  # fmt: skip
MAX_ENTRIES: Final = 20_000
SKELETON_FORMAT: Final = "yilian-bundle-skeleton-1"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What stands before, between and behind the resources of a Bundle: one piece more than there are resources."""

    pieces: tuple[bytes, ...] = field(repr=False)

    def encode(self) -> bytes:
        """The JSON form, kept sealed."""
        body = {"format": SKELETON_FORMAT, "pieces": [piece.decode("utf-8") for piece in self.pieces]}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    @classmethod
    def decode(cls, encoded: bytes) -> Skeleton:
        """Read what :meth:`encode` wrote.

        Raises:
            Invalid: it is something else.
        """
        match load(encoded, max_bytes=2 * MAX_BYTES, max_depth=2):
            case {"format": format_, "pieces": list(pieces)} if format_ == SKELETON_FORMAT and pieces:
                return cls(tuple(_piece(piece) for piece in pieces))
        raise Invalid("a Bundle skeleton is expected", reason="wrong-skeleton")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a Bundle.

    Attributes:
        index: its position.
        full_url: ``fullUrl``, if any.
        request: ``request`` of a transaction, batch or history entry, if any.
        resource: the resource, if any (an entry that deletes has none).
    """

    index: int
    full_url: str | None = field(repr=False)
    request: JsonObject | None = field(repr=False)
    resource: Resource | None

    @property
    def place(self) -> str:
        """Where the resource stands, for error messages."""
        return f"entry[{self.index}].resource"

    @property
    def method(self) -> str | None:
        """The HTTP verb of the request, if any."""
        method = self.request.get("method") if self.request else None
        return method if isinstance(method, str) else None

    def identity(self, bundle_digest: str) -> str:
        """What makes this the same input when it comes again from one source (architecture.md, "Identity of input").

        A POST, and a resource without an id, is known by its Bundle and fullUrl (its position where that is absent);
        everything else by type and id.

        Args:
            bundle_digest: digest of the received Bundle.
        """
        resource = self.resource
        if resource is not None and resource.id is not None and self.method != "POST":
            return f"{resource.resource_type}/{resource.id}"
        return f"{bundle_digest}#{self.full_url or self.index}"


@dataclass(frozen=True, slots=True)
class BundleParts:
    """A Bundle in parts; ``entries`` in the order of the text."""

    bundle_type: str
    skeleton: Skeleton = field(repr=False)
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class _Draft:
    """What the walk over one entry has met so far; offsets are in the text of the Bundle."""

    members: JsonObject
    resource: Resource | None = None
    start: int = 0
    end: int = 0


def split_bundle(encoded: bytes, *, max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES) -> BundleParts:
    """Split a Bundle.

    Raises:
        Invalid: not strict JSON, out of bounds, not a Bundle, or an entry that holds no resource where it should.
    """
    cursor = Cursor.over(decode(encoded, max_bytes=max_bytes))
    drafts: list[_Draft] = []
    members: JsonObject = {}
    for key in cursor.members():
        if key == "entry":
            drafts = list(_read_entries(cursor, max_entries))
        else:
            members[key] = cursor.value()
    cursor.end()
    check_depth(members)
    entries = tuple(_entry(index, draft) for index, draft in enumerate(drafts))
    return BundleParts(_bundle_type(members), _skeleton(cursor.text, drafts), entries)


def reassemble(skeleton: Skeleton, resources: Iterable[tuple[bytes, Iterable[Splice]]]) -> bytes:
    """The received bytes of a Bundle from its skeleton and each resource's stored bytes and undo list, in order.

    Raises:
        Invalid: another number of resources than the skeleton has room for, or an undo list that does not fit.
    """
    received = [apply(stored, undo) for stored, undo in resources]
    if len(received) != len(skeleton.pieces) - 1:
        raise Invalid("the skeleton has room for another number of resources", reason="wrong-skeleton")
    between = (part for pair in zip(received, skeleton.pieces[1:], strict=True) for part in pair)
    return b"".join((skeleton.pieces[0], *between))


def _read_entries(cursor: Cursor, max_entries: int) -> Iterator[_Draft]:
    for index in cursor.items():
        if index >= max_entries:
            raise Invalid(f"a Bundle may have {max_entries} entries", reason="too-many", place="entry")
        try:
            yield _read_entry(cursor)
        except Invalid as error:
            place = error.place if error.place.startswith("line ") else _inside(f"entry[{index}]", error.place)
            raise Invalid(error.detail, reason=error.reason, place=place) from None


def _read_entry(cursor: Cursor) -> _Draft:
    draft = _Draft({})
    for key in cursor.members():
        if key == "resource":
            draft.start = cursor.at
            draft.resource = _entry_resource(cursor)
            draft.end = cursor.at
        else:
            draft.members[key] = cursor.value()
    check_depth(draft.members)
    return draft


def _entry_resource(cursor: Cursor) -> Resource:
    try:
        return read_resource(cursor)
    except Invalid as error:
        place = error.place if error.place.startswith("line ") else _inside("resource", error.place)
        raise Invalid(error.detail, reason=error.reason, place=place) from None


def _entry(index: int, draft: _Draft) -> Entry:
    full_url = draft.members.get("fullUrl")
    request = draft.members.get("request")
    if full_url is not None and not isinstance(full_url, str):
        raise Invalid("fullUrl is a string", reason="wrong-value", place=f"entry[{index}].fullUrl")
    if request is not None and not isinstance(request, dict):
        raise Invalid("request is an object", reason="wrong-value", place=f"entry[{index}].request")
    return Entry(index, full_url, request, draft.resource)


def _bundle_type(members: JsonObject) -> str:
    if members.get("resourceType") != "Bundle":
        raise Invalid("a Bundle is expected", reason="not-a-bundle", place="resourceType")
    bundle_type = members.get("type")
    if not isinstance(bundle_type, str) or bundle_type not in BUNDLE_TYPES:
        raise Invalid("the type of a Bundle is one of FHIR's bundle-type codes", reason="wrong-value", place="type")
    return bundle_type


def _skeleton(text: str, drafts: list[_Draft]) -> Skeleton:
    pieces: list[bytes] = []
    at = 0
    for draft in drafts:
        if draft.resource is not None:
            pieces.append(text[at : draft.start].encode("utf-8"))
            at = draft.end
    return Skeleton((*pieces, text[at:].encode("utf-8")))


def _inside(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if inner else outer


def _piece(piece: JsonValue) -> bytes:
    if not isinstance(piece, str):
        raise Invalid("a Bundle skeleton consists of strings", reason="wrong-skeleton")
    return piece.encode("utf-8")
