"""Directory records that travel with a permitted resource: those it refers to by this hospital's own record ids."""

from __future__ import annotations

from typing import Final

from domain import jcs, resource_facts
from domain.errors import Invalid
from domain.identifiers import check_identifier
from node_service.client.wire import RecordEntry
from node_service.fhir.types import DIRECTORY_TYPES
from node_service.records.drafts import FHIR_JSON
from node_service.records.reading import VersionKey
from offchain.envelope.sealed import SealedObject
from offchain.envelope.unseal import unseal

MAX_RESOURCE_BYTES: Final = 4 << 20
MAX_RESOURCE_DEPTH: Final = 128
_NONE: Final[frozenset[str]] = frozenset()


def directory_references(entry: RecordEntry, sealed: SealedObject, held: VersionKey) -> frozenset[str]:
    """Ids in references of a resource to directory types; none in what is no FHIR resource or cannot be read.

    Raises:
        Tampered: the object does not open under its own key.
    """
    if entry.media_type.partition(";")[0] != FHIR_JSON or sealed.geometry.total_bytes > MAX_RESOURCE_BYTES:
        return _NONE
    opened = unseal(sealed, held.key, object_id=held.object_id).whole(max_bytes=MAX_RESOURCE_BYTES)
    try:
        resource = jcs.load(opened.content, max_bytes=MAX_RESOURCE_BYTES, max_depth=MAX_RESOURCE_DEPTH)
        facts = resource_facts.resource_facts(resource) if isinstance(resource, dict) else None
    except Invalid:
        return _NONE
    return frozenset() if facts is None else frozenset(filter(None, map(_record_id, facts.references)))


def _record_id(reference: str) -> str | None:
    kind, _, identity = reference.partition("/")
    if kind not in DIRECTORY_TYPES:
        return None
    try:
        return check_identifier(identity, "reference")
    except Invalid:
        return None
