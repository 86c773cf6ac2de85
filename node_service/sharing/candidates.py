"""Records as the decision sees them: the database's rows, with what the ledger says about their status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import entries, jcs
from domain.decisions import Permit
from domain.entries import StatusEntry
from domain.identifiers import check_identifier
from domain.instants import instant
from domain.jcs import JsonObject
from node_service.client.wire import RecordEntry
from node_service.context import Node
from node_service.database.models import LedgerState
from node_service.ledger_sync import projection
from node_service.records.drafts import FHIR_JSON
from node_service.records.entries import entries as record_entries
from node_service.records.reading import open_version
from node_service.sharing.consent_content import looks_into_content, time_zone
from node_service.sharing.decision import Candidate, Judge
from node_service.sharing.openings import GrantBasis, LiveOpening, registration_of

MAX_RESOURCE_BYTES: Final = 64 << 20
MAX_RESOURCE_DEPTH: Final = 128
_QUERY_ITEMS: Final = 300


def judge(node: Node, session: Session, opening: LiveOpening) -> Judge:
    """Who decides records under this opening, now, by this hospital's clock."""
    zone, now = time_zone(node.settings), node.clock.now()
    basis = opening.basis
    return Judge(
        opening=opening,
        registration=registration_of(session, opening.patient),
        at=now,
        at_text=instant(now),
        zone=zone,
        looks_into_content=isinstance(basis, GrantBasis) and looks_into_content(basis.consent, zone),
        content=lambda candidate: _content(node, candidate),
    )


def readable(node: Node, session: Session, judge: Judge, entries: Sequence[RecordEntry]) -> list[RecordEntry]:
    """The anchored records among these that may be released, in order."""
    statuses = ledger_statuses(node, session, [entry.record for entry in entries])
    return [
        entry.model_copy(update={"derived_from": None})  # the source may be one that is withheld
        for entry in entries
        if entry.state != "stored"
        and isinstance(judge.decide(candidate(entry, statuses.get(entry.record, entry.status))), Permit)
    ]


def requested(node: Node, session: Session, judge: Judge, records: Sequence[str]) -> list[RecordEntry]:
    """The requested records that may be released; absent and denied ones look the same: they are not here.

    Raises:
        Invalid: a record id is none.
    """
    wanted = list(dict.fromkeys(check_identifier(record, "records") for record in records))
    return readable(node, session, judge, record_entries(node, session, wanted))


def readable_directory(node: Node, session: Session, records: Sequence[str]) -> list[RecordEntry]:
    """Directory records among these that are anchored and active."""
    found = [entry for entry in record_entries(node, session, records) if entry.kind == "directory"]
    statuses = ledger_statuses(node, session, [entry.record for entry in found])
    return [
        entry
        for entry in found
        if entry.state != "stored" and entry.status == "active" and entry.record not in statuses
    ]


def candidate(entry: RecordEntry, status: str) -> Candidate:
    """A record with the stricter of its two statuses: the ledger's, where it has one, unless the row is not active."""
    return Candidate(
        record=entry.record,
        version=entry.version,
        kind=entry.kind,
        patient=entry.patient,
        resource_type=entry.resource_type,
        category=entry.category,
        status=entry.status if entry.status != "active" else status,
        stored_at=entry.stored_at,
    )


def ledger_statuses(node: Node, session: Session, records: Sequence[str]) -> dict[str, str]:
    """The statuses that the ledger has for records of this hospital; plainly active ones have none."""
    found: dict[str, str] = {}
    for start in range(0, len(records), _QUERY_ITEMS):
        keys = {
            projection.composite_key("status", node.msp_id, record): record
            for record in records[start : start + _QUERY_ITEMS]
        }
        rows = session.execute(select(LedgerState.key, LedgerState.value).where(LedgerState.key.in_(keys)))
        found.update((keys[row.key], entries.parse(StatusEntry, row.value).status) for row in rows)
    return found


def _content(node: Node, candidate: Candidate) -> JsonObject | None:
    """The opened resource; the reading is within the decision and leaves the node in no way."""
    opened = open_version(node, candidate.record, candidate.version)
    if opened.media_type.partition(";")[0] != FHIR_JSON:
        return None
    value = jcs.load(opened.content, max_bytes=MAX_RESOURCE_BYTES, max_depth=MAX_RESOURCE_DEPTH)
    return value if isinstance(value, dict) else None
