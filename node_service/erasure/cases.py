"""Erasure cases: a patient's anchored statement, or the hospital's own order; written down once, listed for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain import jcs, statements
from domain.entries import StatementEntry
from domain.erasure import SALT_BYTES, records_digest
from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, check_identifier, decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.transactions import AnchorStatement
from node_service.access_log.rows import Entry, record
from node_service.client import erasure_wire, wire
from node_service.context import Node
from node_service.database.erasure_models import ErasureCase, ErasureItem, ReleaseNotice
from node_service.database.models import Record
from node_service.erasure.family import family
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing.notices import notify
from node_service.sharing.register import verify_current
from node_service.witnessing.freshness import catch_up

KIND: Final = "erasure-request"
OFFICERS: Final = ("privacy-officer", "medical-records")
_ERASABLE: Final = {"statement": ("active", "locked"), "hospital": ("active", "locked", "retracted")}
"""A retracted record may be somebody else's, so only the hospital names it."""


async def request_erasure(node: Node, patient: str, body: erasure_wire.ErasureRequest) -> wire.Committed:
    """Take a patient's erasure statement with the record ids behind its digest, and anchor it.

    Nothing is decided yet. The same statement again is a success without effect.

    Raises:
        Invalid, Denied: statement, signature or digest are not right; nothing was kept.
        NotFound: one of the records is not this patient's: absent and another's look the same.
        Conflict: the contract's answer.
        Unavailable, OutcomeUnknown: the same statement may be sent again.
    """
    await catch_up(node)
    statement = await node.in_database(_keep, node, patient, body)
    envelope = statement.envelope
    digest = records_digest(body.records, decode_bytes(body.salt, "salt", length=SALT_BYTES))
    try:
        done = await submit_and_wait(node, AnchorStatement(envelope.id, KIND, digest, body.statement, body.signature))
    except (Invalid, Denied, NotFound, Conflict):
        await node.in_database(_forget_unanchored, node, envelope.id)
        raise
    return wire.Committed(id=envelope.id, tx_id=done.tx_id, block=done.block)


def open_hospital_case(node: Node, session: Session, patient: str, records: Sequence[str]) -> str:
    """Write down that the hospital itself wants records of one patient erased; return the case's id.

    Raises:
        NotFound: one of the records is not that patient's.
    """
    salt = node.random(SALT_BYTES)
    case = identifier(node.random(IDENTIFIER_BYTES))
    request: jcs.JsonObject = {"salt": encode_bytes(salt), "statement": None, "signature": None}
    _write(node, session, ("hospital", case, patient), records, records_digest(records, salt), request)
    return case


def is_anchored(session: Session, case: ErasureCase) -> bool:
    """Whether the patient's statement stands on the ledger; a hospital's own case needs none."""
    if case.kind == "hospital":
        return True
    entry = projection.entry(session, StatementEntry, KIND, case.id)
    return entry is not None and entry.digest == case.records_digest


def reopen_cases(session: Session, notices: Sequence[str]) -> None:
    """Cases wait for attestations once more, where a hospital that was away has been told of an erasure."""
    erased = select(ReleaseNotice.record).where(ReleaseNotice.id.in_(notices), ReleaseNotice.event == "erased")
    touched = select(ErasureItem.case).where(ErasureItem.record.in_(erased))
    session.execute(update(ErasureCase).where(ErasureCase.id.in_(touched)).values(is_open=True))


def items_of(session: Session, case: str) -> list[ErasureItem]:
    """The records of a case, in the order of their ids."""
    query = select(ErasureItem).where(ErasureItem.case == case).order_by(ErasureItem.record)
    return list(session.scalars(query))


def _keep(node: Node, patient: str, body: erasure_wire.ErasureRequest) -> statements.Statement:
    with node.database.transaction() as session:
        statement = verify_current(node, session, body.statement, body.signature)
        envelope = statement.envelope
        if not isinstance(statement.body, statements.Erasure):
            raise Invalid("a statement of another type is expected", place="statement.type")
        if envelope.patient != patient:
            raise Denied("the statement is another patient's", reason="other-patient")
        digest = records_digest(body.records, decode_bytes(body.salt, "salt", length=SALT_BYTES))
        if digest != statement.body.records_digest:
            raise Invalid("the statement names other records", place="records", reason="records-digest")
        if session.get(ErasureCase, envelope.id) is None:
            request: jcs.JsonObject = {
                "salt": body.salt, "statement": body.statement, "signature": body.signature,
            }  # fmt: skip
            _write(node, session, ("statement", envelope.id, patient), body.records, digest, request)
            asked = Entry("erase", node.msp_id, "patient", patient, tuple(body.records), outcome="requested")
            record(node, session, asked)
            notify(node, session, [f"role:{role}" for role in OFFICERS], "erasure-requested", [envelope.id])
    return statement


def _write(
    node: Node,
    session: Session,
    case: tuple[str, str, str],
    records: Sequence[str],
    digest: str,
    request: jcs.JsonObject,
) -> None:
    kind, case_id, patient = case
    named = [_own(session, patient, one, _ERASABLE[kind]) for one in records]
    related = {one.id for row in named for one in family(session, row)}
    session.add(
        ErasureCase(
            id=case_id,
            kind=kind,
            patient=patient,
            records_digest=digest,
            request=node.secrets.seal_local(_context(case_id), jcs.canonical(request), node.random),
            created_at=instant(node.clock.now()),
            is_open=True,
        )
    )
    session.flush()
    session.add_all(
        ErasureItem(case=case_id, record=one, named=one in set(records), state="requested") for one in sorted(related)
    )


def _own(session: Session, patient: str, record_id: str, statuses: Sequence[str]) -> Record:
    row = session.get(Record, check_identifier(record_id, "records"))
    if row is None or row.patient != patient or row.status not in statuses:
        raise NotFound("there is no such record", reason="no-record")
    return row


def _forget_unanchored(node: Node, case: str) -> None:
    """The contract refused the statement: nobody asked."""
    with node.database.transaction() as session:
        row = session.get(ErasureCase, case)
        if row is None or is_anchored(session, row):
            return
        for item in items_of(session, case):
            session.delete(item)
        session.flush()
        session.delete(row)


def _context(case: str) -> list[str]:
    return ["erasure_case", "request", case]
