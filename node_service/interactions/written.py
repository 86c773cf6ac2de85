"""What a FHIR write became, and the write of a planned set of resources in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from domain.errors import Conflict, Invalid
from node_service.access_log.rows import Entry
from node_service.access_log.rows import record as write_row
from node_service.client.wire import RecordRef
from node_service.context import Node
from node_service.records.planning import Plan
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.writing import write_versions
from node_service.staff.principal import StaffPrincipal

Also = Callable[[Session], None]


@dataclass(frozen=True, slots=True)
class Written:
    """One resource after a write; ``created`` is false where a version followed or nothing changed."""

    record: str
    version: int
    resource_type: str
    created: bool


def write_plan(node: Node, principal: StaffPrincipal, made: Plan, also: Also) -> list[RecordRef]:
    """Write what was planned, with its row of the access log and what the caller adds, in one transaction.

    Raises:
        Conflict: a record belongs to somebody else or is closed, or another writer came first.
        Invalid: a reference names a Patient that is not here.
        Unavailable: store, custody or database.
    """
    for item, reason in made.refused:
        raise Conflict("the record under this identity cannot take the resource", reason=reason, place=item.place)
    if made.reserved:
        raise Invalid("a reference names a Patient that this hospital does not know", reason="unprocessable")
    versions = [seal_draft(node, draft) for draft in made.drafts.values()]
    if versions:
        put_sealed(node, versions)
    with node.database.transaction() as session:
        made.people.write(session)
        written = write_versions(node, session, versions)
        log_creation(node, session, principal, written)
        also(session)
    return written


def log_creation(node: Node, session: Session, principal: StaffPrincipal, written: Sequence[RecordRef]) -> None:
    """Rows of the access log for records that somebody wrote, one per person, in the caller's transaction."""
    by_patient: dict[str | None, list[str]] = {}
    for one in written:
        by_patient.setdefault(one.patient, []).append(one.record)
    for patient, records in by_patient.items():
        write_row(node, session, Entry("create", node.msp_id, principal.id, patient, tuple(records)))
