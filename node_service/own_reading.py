"""What the own hospital's staff read: logged durably first, answered after.

The row carries the reader's name sealed to the patient, so that the wallet shows who in the hospital read what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.errors import NotFound
from domain.identifiers import check_identifier
from node_service.access_log.rows import Entry, parse_wrap_key, record_alone, record_for
from node_service.client.wire import MemberRef, PersonEntry, PersonPage, RecordEntry, RecordPage
from node_service.context import Node
from node_service.database.models import Person
from node_service.people import person_entry, person_page
from node_service.records import entries
from node_service.records.drafts import FHIR_JSON
from node_service.records.reading import (
    OpenedRecord,
    find_version,
    open_found,
    open_member,
    open_members,
    open_version,
)
from node_service.sharing.practitioners import Practitioner
from node_service.staff.principal import StaffPrincipal
from node_service.staff.roles import CLINICAL
from offchain.envelope.composite import Member

TREATMENT: Final = "TREAT"
OPERATIONS: Final = "HOPERAT"


def practitioner_of(principal: StaffPrincipal) -> Practitioner:
    """The signed-in person as other hospitals and patients are told."""
    return Practitioner(principal.id, principal.name, _role(principal), principal.department)


def list_people(node: Node, principal: StaffPrincipal, after: str | None, limit: int) -> PersonPage:
    """A page of the hospital's people, logged as a search that names nobody."""
    with node.database.reading() as session:
        page = person_page(node, session, after=after, limit=limit)
    _log_search(node, principal, None, ())
    return page


def person(node: Node, principal: StaffPrincipal, patient: str) -> PersonEntry:
    """One person's label, logged.

    Raises:
        NotFound: there is no such person.
    """
    with node.database.reading() as session:
        found = person_entry(node, session, check_identifier(patient, "patient"))
    _log_search(node, principal, patient, ())
    return found


def list_records(node: Node, principal: StaffPrincipal, patient: str, after: str | None) -> RecordPage:
    """A page of a person's records, logged.

    Raises:
        NotFound: there is no such person.
    """
    with node.database.reading() as session:
        if session.get(Person, check_identifier(patient, "patient")) is None:
            raise NotFound("there is no such person", reason="no-patient")
        page = entries.page_of_patient(node, session, patient, after=after)
    _log_search(node, principal, patient, ())
    return page


def record_entry(node: Node, principal: StaffPrincipal, record: str) -> RecordEntry:
    """A record's entry, logged.

    Raises:
        NotFound: there is no such record.
    """
    with node.database.reading() as session:
        found = entries.entry(node, session, check_identifier(record, "record"))
    _log_search(node, principal, found.patient, (record,))
    return found


def record_history(
    node: Node, principal: StaffPrincipal, record: str, resource_type: str
) -> list[tuple[RecordEntry, OpenedRecord]]:
    """All versions of a record, newest first, logged.

    Raises:
        NotFound: there is no such resource of that type; a document or a series is none.
    """
    with node.database.reading() as session:
        found = entries.history(node, session, check_identifier(record, "id"))
    _require_type(found[0].resource_type, resource_type)
    if found[0].media_type.partition(";")[0] != FHIR_JSON:
        raise NotFound("there is no such resource", reason="no-record")
    row = _log_read(node, principal, record)
    return [(one, open_version(node, record, one.version, entry_id=row)) for one in found]


def read_record(
    node: Node,
    principal: StaffPrincipal,
    record: str,
    *,
    version: int | None = None,
    resource_type: str | None = None,
) -> OpenedRecord:
    """The stored bytes of a record, logged.

    Raises:
        NotFound: there is no such record or version, or not of that type.
        Tampered: the stored object was altered.
        Unavailable: database, store or custody; a read that cannot be logged is not answered.
    """
    check_identifier(record, "record")
    found = find_version(node, record, version)
    _require_type(found.resource_type, resource_type)
    row = _log(node, principal, "read", found.patient, (record,), found.patient_key)
    return open_found(node, found, entry_id=row)


def list_members(node: Node, principal: StaffPrincipal, record: str) -> list[MemberRef]:
    """The members of a composite record, logged.

    Raises:
        NotFound, Invalid: no such record, or it has no members.
    """
    row = _log_read(node, principal, check_identifier(record, "record"))
    manifest = open_members(node, record, entry_id=row)
    return [MemberRef(object_id=one.object_id, digest=one.digest, length=one.length) for one in manifest.members]


def find_member(node: Node, principal: StaffPrincipal, record: str, object_id: str) -> Member:
    """A member of a composite record, to be opened by :func:`member_content`; the read is logged here.

    Raises:
        NotFound, Invalid: no such record or member.
        Tampered: the manifest was altered.
    """
    check_identifier(object_id, "object")
    row = _log_read(node, principal, check_identifier(record, "record"))
    return open_members(node, record, entry_id=row).member(object_id)


def member_content(node: Node, member: Member, begin: int, end: int) -> Iterator[memoryview]:
    """A part of a member's verified content, piece by piece.

    Raises:
        Tampered: also while iterating; what came before is genuine, but the content is not complete.
    """
    with open_member(node, member) as opened:
        yield from opened.stream(begin, end)


def _log_read(node: Node, principal: StaffPrincipal, record: str) -> str:
    found = find_version(node, record)
    return _log(node, principal, "read", found.patient, (record,), found.patient_key)


def _log_search(node: Node, principal: StaffPrincipal, patient: str | None, records: tuple[str, ...]) -> None:
    record_alone(node, _entry(node, principal, "search", patient, records))


def _require_type(actual: str, wanted: str | None) -> None:
    if wanted is not None and actual != wanted:
        raise NotFound("there is no such record", reason="no-record")


def _log(
    node: Node,
    principal: StaffPrincipal,
    action: str,
    patient: str | None,
    records: tuple[str, ...],
    patient_key: str | None,
) -> str:
    """Write the row; it is durable when its leaf's id is returned."""
    key = None if patient_key is None else parse_wrap_key(patient_key)
    return record_for(node, _entry(node, principal, action, patient, records), key)[0]


def _entry(node: Node, principal: StaffPrincipal, action: str, patient: str | None, records: tuple[str, ...]) -> Entry:
    reader = practitioner_of(principal).reader(node.random)
    purpose = TREATMENT if principal.roles & CLINICAL else OPERATIONS
    return Entry(action, node.msp_id, principal.id, patient, records, purpose=purpose, reader=reader)


def _role(principal: StaffPrincipal) -> str:
    """The role as which somebody reads: the clinical one where there is one."""
    return min(principal.roles & CLINICAL or principal.roles)
