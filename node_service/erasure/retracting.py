"""Retraction: a record that is the wrong patient's or was entered in error; what is right in it is filed anew."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from domain.checks import check_member
from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import check_identifier
from domain.instants import instant
from domain.vocabulary import RETRACT_REASONS
from node_service.access_log.rows import Entry, record
from node_service.client import erasure_wire, wire
from node_service.context import Node
from node_service.database.models import Record
from node_service.erasure.deciding import order_removal
from node_service.erasure.family import family
from node_service.erasure.refiling import Refiled, refile, write_refiled
from node_service.sharing.notices import notify

RETRACTABLE = ("active", "locked")


def retract(node: Node, officer: str, record_id: str, body: erasure_wire.RetractionBody) -> erasure_wire.Retraction:
    """Retract a record with its source and siblings; with a right patient, file their content anew.

    Nobody reads the records from here on; the ledger and the hospitals that had them learn it in the background.

    Raises:
        Invalid: no such reason, or a right patient where nobody was mistaken.
        NotFound: there is no such record, or no such patient.
        Conflict: it is retracted or erased already, or cannot be filed anew.
        Tampered, Unavailable: it could not be opened to be filed anew.
    """
    check_member(body.reason, "reason", RETRACT_REASONS)
    if body.patient is not None and body.reason != "wrong-patient":
        raise Invalid("only a wrong patient's record is filed anew under another person", place="patient")
    made: list[Refiled] = []
    with node.database.reading() as session:
        members = _members(session, record_id)
        if body.patient is not None:
            made = refile(node, session, members, check_identifier(body.patient, "patient"))
    with node.database.transaction() as session:
        if [(one.id, one.current_version) for one in _members(session, record_id)] != [
            (one.id, one.current_version) for one in members
        ]:
            raise Conflict("the record changed meanwhile; look again", reason="version", place=record_id)
        filed = write_refiled(node, session, made)
        _close(node, session, officer, [one.id for one in members], body)
        _tell(node, session, officer, members, filed, body)
    return erasure_wire.Retraction(retracted=[one.id for one in members], filed=filed)


def _members(session: Session, record_id: str) -> list[Record]:
    row = session.get(Record, check_identifier(record_id, "record"))
    if row is None:
        raise NotFound("there is no such record", reason="no-record")
    if row.status not in RETRACTABLE:
        raise Conflict(f"the record is {row.status}", reason=row.status, place=row.id)
    return [one for one in family(session, row) if one.status in RETRACTABLE]


def _close(
    node: Node, session: Session, officer: str, records: Sequence[str], body: erasure_wire.RetractionBody
) -> None:
    at = instant(node.clock.now())
    for record_id in records:
        session.get_one(Record, record_id).status = "retracted"
        order_removal(session, record_id, "retract", officer, at, body.reason)


def _tell(
    node: Node,
    session: Session,
    officer: str,
    members: Sequence[Record],
    filed: Sequence[wire.RecordRef],
    body: erasure_wire.RetractionBody,
) -> None:
    """One row for the person whose record it was, one for the person whose record it is."""
    wrong = next((one.patient for one in members if one.patient is not None), None)
    ids = tuple(sorted(one.id for one in members))
    record(node, session, Entry("retract", node.msp_id, officer, wrong, ids, outcome=body.reason))
    if body.patient is not None:
        new = tuple(sorted(one.record for one in filed))
        record(node, session, Entry("create", node.msp_id, officer, body.patient, new))
        notify(node, session, [f"patient:{body.patient}"], "record-refiled", list(new))
