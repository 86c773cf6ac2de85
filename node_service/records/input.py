"""Reading what came in: single resources, Bundles, NDJSON; what is not taken, and what is refused, with its place."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from domain.errors import Invalid
from node_service.client.wire import InputIssue
from node_service.context import Node
from node_service.fhir.bundle import BundleParts, Entry, split_bundle
from node_service.fhir.json_text import MAX_VALUES, check_count
from node_service.fhir.ndjson import read_ndjson
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.validation import verify_resource
from node_service.records.identity import Item, anonymous_token, content_digest, entry_token, resource_token

JSON_TYPES: Final = ("application/fhir+json", "application/json")
NDJSON_TYPES: Final = ("application/fhir+ndjson", "application/x-ndjson", "application/ndjson")
_TAKEN_METHODS: Final = (None, "POST", "PUT")
_BUNDLE = re.compile(rb'"resourceType"\s*:\s*"Bundle"')
_CREATE: Final = "POST"


@dataclass(slots=True)
class Input:
    """What was read.

    Attributes:
        digest: of the whole body.
        bundle: the parts, if it was a Bundle.
        items: valid resources in order.
        skipped: not a kind that is taken.
        refused: a kind that is taken, but invalid.
    """

    digest: str = field(repr=False)
    bundle: BundleParts | None = None
    items: list[Item] = field(default_factory=list)
    skipped: list[InputIssue] = field(default_factory=list)
    refused: list[InputIssue] = field(default_factory=list)

    @property
    def is_transaction(self) -> bool:
        """True where FHIR demands all or nothing (FHIR R4, section 3.1.0.11.2)."""
        return self.bundle is not None and self.bundle.bundle_type == "transaction"

    def rounds(self) -> list[list[Item]]:
        """The items in rounds in which no identity of input comes twice; of a history the oldest come first."""
        ordered = self.items
        if self.bundle is not None and self.bundle.bundle_type == "history":
            ordered = ordered[::-1]
        seen: dict[bytes, int] = defaultdict(int)
        rounds: list[list[Item]] = []
        for item in ordered:
            number = seen[item.source_token]
            seen[item.source_token] += 1
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(item)
        return rounds


def read_input(node: Node, body: bytes, media_type: str, source: str) -> Input:
    """Read and validate a body.

    Raises:
        Invalid: another media type, or not JSON that can be read at all.
    """
    plain = media_type.partition(";")[0].strip().lower()
    given = Input(content_digest(body))
    if plain in NDJSON_TYPES:
        check_count(body.decode("latin-1"), MAX_VALUES)  # all lines together, before one of them is read
        _read_lines(node, body, source, given)
    elif plain not in JSON_TYPES:
        raise Invalid("FHIR JSON or NDJSON is expected", reason="media-type", place="Content-Type")
    elif (bundle := _as_bundle(body, node.settings.max_upload_bytes)) is not None:
        given.bundle = bundle
        _read_entries(node, source, given, bundle)
    else:
        entry = Entry(0, None, None, parse_resource(body, max_bytes=node.settings.max_upload_bytes))
        _take(node, source, given, entry, place="")
    if given.is_transaction:
        _refuse_duplicates(source, given)
    return given


def _as_bundle(body: bytes, max_bytes: int) -> BundleParts | None:
    if not _BUNDLE.search(body):
        return None
    try:
        return split_bundle(body, max_bytes=max_bytes)
    except Invalid as error:
        if error.reason == "not-a-bundle":
            return None
        raise


def _read_entries(node: Node, source: str, given: Input, bundle: BundleParts) -> None:
    for entry in bundle.entries:
        if entry.resource is None or not _creates_or_updates(entry):
            issues = given.refused if bundle.bundle_type == "transaction" else given.skipped
            issues.append(issue(source, f"entry[{entry.index}].request", "method: only resources are taken in"))
        else:
            _take(node, source, given, entry, place=entry.place)


def _creates_or_updates(entry: Entry) -> bool:
    """False for the call of an operation, too (FHIR R4, section 3.2.0)."""
    url = entry.request.get("url") if entry.request else None
    return entry.method in _TAKEN_METHODS and not (isinstance(url, str) and "$" in url)


def _read_lines(node: Node, body: bytes, source: str, given: Input) -> None:
    for line in read_ndjson(io.BytesIO(body)):
        if isinstance(line.resource, Invalid):
            given.refused.append(refusal(source, line.resource, line.place))
        else:
            _take(node, source, given, Entry(line.number, None, None, line.resource), place=line.place)


def _take(node: Node, source: str, given: Input, entry: Entry, *, place: str) -> None:
    resource = entry.resource
    if resource is None:
        return
    if resource.resource_type == "Bundle" and given.bundle is None:
        given.skipped.append(issue(source, place, "type: a Bundle is taken in as a body of its own"))
        return
    try:
        noted = verify_resource(resource, place)
    except Invalid as error:
        given.refused.append(refusal(source, error, ""))
        return
    given.items.append(Item(entry, resource, _source_token(node, source, given, entry, resource), place, noted))


def _source_token(node: Node, source: str, given: Input, entry: Entry, resource: Resource) -> bytes:
    """By Bundle digest and fullUrl where the entry creates, else by type and id at the source."""
    secrets = node.secrets
    if given.bundle is not None and (entry.method == _CREATE or resource.id is None):
        return entry_token(secrets, source, given.digest, entry.full_url or f"entry[{entry.index}]")
    if resource.id is None:
        return anonymous_token(secrets, source, resource)
    return resource_token(secrets, source, resource.resource_type, resource.id)


def _refuse_duplicates(source: str, given: Input) -> None:
    """In a transaction no resource comes twice (FHIR R4, section 3.1.0.11.2)."""
    seen: set[bytes] = set()
    for item in given.items:
        if item.source_token in seen:
            given.refused.append(issue(source, item.place, "duplicate: a transaction names a resource only once"))
        seen.add(item.source_token)


def issue(source: str, place: str, reason: str) -> InputIssue:
    """One line of the report."""
    return InputIssue(source=source, place=place, reason=reason)


def refusal(source: str, error: Invalid, place: str) -> InputIssue:
    """An error as a line of the report; details name rules and places, never values."""
    where = " ".join(part for part in (place, error.place) if part)
    return issue(source, where, f"{error.reason}: {error.detail}")


def received_bytes(entries: Iterable[Entry]) -> Iterator[tuple[int, bytes]]:
    """Number and received bytes of the entries that hold a resource."""
    return ((entry.index, entry.resource.encoded) for entry in entries if entry.resource is not None)
