"""Certificates of erasure, and cases as their patient and the hospital's officers see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.erasure import Certificate, ErasedRecord, KeptRecord, WaitingStore, parse_certificate
from domain.errors import NotFound
from domain.identifiers import check_identifier, encode_bytes
from domain.instants import instant
from node_service import organization_keys
from node_service.client import erasure_wire
from node_service.context import Node
from node_service.database.erasure_models import ErasureCase, ErasureItem, Removal
from node_service.erasure.cases import is_anchored, items_of
from node_service.erasure.holders import copies
from node_service.ledger_sync.registry import active_organizations

PAGE: Final = 50
State = Literal["requested", "locked", "erasing", "erased"]


def list_cases(node: Node, after: str | None = None) -> erasure_wire.ErasureCasePage:
    """A page of all cases, in the order of their ids, for the hospital's officers."""
    query = select(ErasureCase).order_by(ErasureCase.id).limit(PAGE + 1)
    if after is not None:
        query = query.where(ErasureCase.id > check_identifier(after, "after"))
    with node.database.reading() as session:
        rows = session.scalars(query).all()
        items = [_entry(node, session, row) for row in rows[:PAGE]]
    return erasure_wire.ErasureCasePage(items=items, next=items[-1].id if len(rows) > PAGE else None)


def case_of(node: Node, case: str) -> erasure_wire.ErasureCase:
    """One case.

    Raises:
        NotFound: there is none.
    """
    with node.database.reading() as session:
        row = session.get(ErasureCase, check_identifier(case, "case"))
        if row is None:
            raise NotFound("there is no such case", reason="no-case")
        return _entry(node, session, row)


def cases_of_patient(node: Node, patient: str) -> list[erasure_wire.ErasureCase]:
    """The patient's own cases, and those that the hospital opened about the patient's records, oldest first."""
    query = select(ErasureCase).where(ErasureCase.patient == patient)
    with node.database.reading() as session:
        rows = session.scalars(query.order_by(ErasureCase.created_at, ErasureCase.id)).all()
        return [_entry(node, session, row) for row in rows]


def settle_case(node: Node, session: Session, case: ErasureCase) -> None:
    """Issue the certificate where it says something new, in the caller's transaction.

    A case is closed for now when nothing is on its way, all that was erased is final and no attestation is awaited; a
    lock that ends opens it again, and so does a hospital that had left and is told after all.
    """
    _ask_whether_final(node, session, case)
    entry = _entry(node, session, case)
    if any(item.state in ("requested", "erasing") for item in entry.items):
        return
    body = _certificate(node, session, case, entry.items)
    if body.erased and not _says(case.certificate, body):
        text = body.encode()
        case.certificate = text
        case.certificate_signature = encode_bytes(organization_keys.sign(node.secrets, text.encode()))
    members = active_organizations(session)
    waits = any(_is_awaited(one, members) for item in entry.items for one in item.missing)
    waits = waits or any(item.waiting for item in entry.items)
    case.is_open = waits or any(item.state == "erased" and item.final_at is None for item in entry.items)


def _is_awaited(one: erasure_wire.MissingAttestation, members: Collection[str]) -> bool:
    """Who left before it was told cannot be told; the certificate goes on saying so."""
    return one.reason == "told" or (one.reason == "not-told" and one.msp_id in members)


def _ask_whether_final(node: Node, session: Session, case: ErasureCase) -> None:
    """A re-keying may come late: only custody knows."""
    for item in items_of(session, case.id):
        removal = session.get(Removal, item.record)
        if removal is None or (removal.action, removal.state) != ("erase", "done") or removal.final_at is not None:
            continue
        forgotten = node.custody.forgotten(item.record)
        if forgotten is not None:
            removal.final_by, removal.final_at = forgotten.final_by, forgotten.final_at


def _entry(node: Node, session: Session, case: ErasureCase) -> erasure_wire.ErasureCase:
    signed = None
    if case.certificate is not None and case.certificate_signature is not None:
        signed = erasure_wire.ErasureCertificate(text=case.certificate, signature=case.certificate_signature)
    return erasure_wire.ErasureCase(
        id=case.id,
        kind="statement" if case.kind == "statement" else "hospital",
        patient=case.patient,
        created_at=case.created_at,
        anchored=is_anchored(session, case),
        decided_at=case.decided_at,
        items=[_item(node, session, item) for item in items_of(session, case.id)],
        certificate=signed,
    )


def _item(node: Node, session: Session, item: ErasureItem) -> erasure_wire.ErasureItem:
    removal = session.get(Removal, item.record)
    erased = removal is not None and removal.action == "erase" and removal.state == "done"
    attested, missing = copies(node, session, item.record) if erased else ((), ())
    return erasure_wire.ErasureItem(
        record=item.record,
        named=item.named,
        state=_state(item, removal),
        until=item.until,
        rule=item.rule,
        erased_at=removal.done_at if erased and removal is not None else None,
        final_by=removal.final_by if erased and removal is not None else None,
        final_at=removal.final_at if erased and removal is not None else None,
        attested=[erasure_wire.AttestedCopy(msp_id=one.msp_id, retained_until=one.retained_until) for one in attested],
        missing=[erasure_wire.MissingAttestation(msp_id=one.msp_id, reason=one.reason) for one in missing],
        waiting=[erasure_wire.WaitingStore(store=one.store, since=one.since) for one in _waiting(node, removal)],
    )


def _state(item: ErasureItem, removal: Removal | None) -> State:
    if removal is not None and removal.action == "erase":
        return "erased" if removal.state == "done" else "erasing"
    return "locked" if item.state == "locked" else "erasing" if item.state == "ordered" else "requested"


def _certificate(
    node: Node, session: Session, case: ErasureCase, items: Sequence[erasure_wire.ErasureItem]
) -> Certificate:
    return Certificate(
        channel=node.ledger.channel,
        custodian=node.msp_id,
        kid=organization_keys.signing_kid(node.secrets),
        case=case.id,
        statement=case.id if case.kind == "statement" else None,
        records_digest=case.records_digest,
        issued_at=instant(node.clock.now()),
        erased=tuple(_erased(node, session, item.record) for item in items if item.state == "erased"),
        kept=tuple(
            KeptRecord(item.record, item.until or "", item.rule or "") for item in items if item.state == "locked"
        ),
    )


def _erased(node: Node, session: Session, record: str) -> ErasedRecord:
    removal = session.get_one(Removal, record)
    attested, missing = copies(node, session, record)
    done_at = removal.done_at or ""
    return ErasedRecord(
        record=record,
        tx_id=removal.tx_id or "",
        erased_at=done_at,
        keys_destroyed_at=removal.forgotten_at or "",
        final_by=removal.final_by or "",
        final_at=removal.final_at,
        attested=attested,
        missing=missing,
        waiting=_waiting(node, removal),
    )


def _waiting(node: Node, removal: Removal | None) -> tuple[WaitingStore, ...]:
    """Stores that owe erasures since before this one was done: whose objects they are is not kept, so each counts."""
    if removal is None or (removal.action, removal.state) != ("erase", "done") or removal.done_at is None:
        return ()
    owing = node.blobs.unfinished_erasures()
    return tuple(WaitingStore(store, since) for store, since in owing if since <= removal.done_at)


def _says(text: str | None, body: Certificate) -> bool:
    """Whether the present certificate says the same, whenever it was issued."""
    if text is None:
        return False
    present = parse_certificate(text)
    return (present.erased, present.kept, present.kid) == (body.erased, body.kept, body.kid)
