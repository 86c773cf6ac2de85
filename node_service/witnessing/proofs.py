"""Whose receipts one may have: a patient those about the patient, an auditor those of the hospital."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.entries import AccessEntry
from domain.errors import Invalid, NotFound, Unavailable
from domain.identifiers import check_identifier
from domain.receipts import Receipt
from node_service.access_log.listing import position
from node_service.access_log.rows import Entry, record_alone
from node_service.client.receipt_wire import ReceiptItem, ReceiptPage
from node_service.context import Node
from node_service.database.models import AccessRow, EmergencyAdmission, Record, RecordVersion
from node_service.ledger_sync import projection
from node_service.logs.log import ACCESS, RECORDS
from node_service.witnessing.receipts import NOT_WITNESSED, Receipts

OF_PATIENT: Final = ("grant", "dissent", "statement-used")
"""Object types whose keys begin with the patient."""
OPENINGS: Final = ("access", "emergency")
PAGE: Final = 50


def of_patient(node: Node, receipts: Receipts, patient: str, kind: str, name: str) -> Receipt:
    """A receipt about something of the patient: a record, a grant, a refusal, a statement, or an opening.

    Raises:
        Invalid, NotFound: no such kind, or nothing of this patient.
        Unavailable: not witnessed yet (``not-witnessed``).
    """
    check_identifier(name, "id")
    if kind in OF_PATIENT:
        return receipts.of_write(kind, patient, name)
    if kind == "record":
        return _of_record(node, receipts, name, patient)
    if kind not in OPENINGS:
        raise Invalid("there are no receipts of this kind", place="kind")
    with node.database.reading() as session:
        about = _patient_of(session, kind, name)
    if about != patient:
        raise NotFound("there is no such entry on the ledger", reason="no-entry")
    return receipts.of_write(kind, name)


def access_row(node: Node, receipts: Receipts, incarnation: int, index: int, patient: str | None = None) -> Receipt:
    """The receipt of a row of the access log at its place; of this patient's rows only, where one is named.

    Raises:
        NotFound: there is no such row.
        Unavailable: not witnessed yet (``not-witnessed``).
    """
    with node.database.reading() as session:
        query = select(AccessRow).where(AccessRow.incarnation == incarnation, AccessRow.log_index == index)
        row = session.scalars(query).one_or_none()
    if row is None or (patient is not None and row.patient != patient):
        raise NotFound("there is no such row", reason="no-row")
    return receipts.of_leaf("access-row", ACCESS, row.leaf, row.incarnation, row.log_index)


def access_rows(node: Node, receipts: Receipts, patient: str, after: str | None = None) -> ReceiptPage:
    """Receipts of the rows about a patient, in the order of the patient's list; null where none can be given yet.

    Raises:
        Invalid: there is no such page.
    """
    with node.database.reading() as session:
        query = select(AccessRow).where(AccessRow.patient == patient, AccessRow.id > position(after))
        rows = session.scalars(query.order_by(AccessRow.id).limit(PAGE + 1)).all()
    shown = rows[:PAGE]
    items = [_item(receipts, row) for row in shown]
    return ReceiptPage(items=items, next=str(shown[-1].id) if len(rows) > PAGE else None)


def for_auditor(node: Node, receipts: Receipts, auditor: str, kind: str, name: str, patient: str | None) -> Receipt:
    """As :func:`of_patient` for the hospital's auditors; whose record it is about stands in the access log.

    Raises:
        Invalid, NotFound, Unavailable: as :func:`of_patient`; ``patient`` is needed for grants, refusals, statements.
    """
    check_identifier(name, "id")
    if kind == "record":
        record_alone(node, Entry("export", node.msp_id, auditor, records=(name,), purpose="HOPERAT"))
        return _of_record(node, receipts, name, None)
    if kind in OPENINGS:
        return receipts.of_write(kind, name)
    if kind in OF_PATIENT and patient is not None:
        return receipts.of_write(kind, check_identifier(patient, "patient"), name)
    raise Invalid("there are no receipts of this kind, or the patient is not named", place="kind")


def _of_record(node: Node, receipts: Receipts, name: str, patient: str | None) -> Receipt:
    with node.database.reading() as session:
        record = session.get(Record, name)
        if record is None or (patient is not None and record.patient != patient):
            raise NotFound("there is no such record", reason="no-record")
        version = session.get_one(RecordVersion, (name, record.current_version))
    return receipts.of_leaf("record", RECORDS, version.leaf, version.incarnation, version.log_index)


def _patient_of(session: Session, kind: str, name: str) -> str | None:
    if kind == "access":
        entry = projection.entry(session, AccessEntry, name)
        return None if entry is None else entry.patient
    admission = session.get(EmergencyAdmission, name)
    return None if admission is None else admission.patient


def _item(receipts: Receipts, row: AccessRow) -> ReceiptItem:
    try:
        receipt = receipts.of_leaf("access-row", ACCESS, row.leaf, row.incarnation, row.log_index)
    except Unavailable as error:
        if error.reason != NOT_WITNESSED:
            raise
        return ReceiptItem(incarnation=row.incarnation, index=row.log_index, receipt=None)
    return ReceiptItem(incarnation=row.incarnation, index=row.log_index, receipt=receipt.encode().decode())
