"""A legal hold: an own record is neither released nor erased until a time."""

from __future__ import annotations

from domain.checks import check_member
from domain.entries import StatusEntry
from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import check_identifier
from domain.instants import check_instant, instant
from domain.transactions import LockRecord
from domain.vocabulary import LOCK_REASONS
from node_service.access_log.rows import Entry, record
from node_service.client import erasure_wire, wire
from node_service.context import Node
from node_service.database.models import Record
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import enqueue, submit_and_wait
from node_service.sharing.notices import notify


async def lock(node: Node, officer: str, record_id: str, body: erasure_wire.LockBody) -> wire.Committed:
    """Lock a record until a time; a lock is only ever prolonged. The same lock again changes nothing.

    Raises:
        Invalid: no such reason, or a time that is past.
        NotFound: there is no such record.
        Conflict: it is retracted or erased, or locked at least as long.
        Unavailable, OutcomeUnknown: the record is closed here; the ledger learns it later.
    """
    check_member(body.reason, "reason", LOCK_REASONS)
    if check_instant(body.until, "until") <= instant(node.clock.now()):
        raise Invalid("a lock ends in the future", place="until")
    transaction = LockRecord(check_identifier(record_id, "record"), body.reason, body.until)
    await node.in_database(_close, node, officer, transaction)
    done = await submit_and_wait(node, transaction)
    return wire.Committed(id=record_id, tx_id=done.tx_id, block=done.block)


def _close(node: Node, officer: str, transaction: LockRecord) -> None:
    with node.database.transaction() as session:
        row = session.get(Record, transaction.record)
        if row is None:
            raise NotFound("there is no such record", reason="no-record")
        entry = projection.entry(session, StatusEntry, node.msp_id, row.id)
        same = entry == StatusEntry("locked", transaction.reason, transaction.until)
        if row.status not in ("active", "locked") or (entry is not None and entry.status not in ("active", "locked")):
            raise Conflict(f"the record is {row.status}", reason=row.status, place=row.id)
        if entry is not None and entry.until is not None and transaction.until <= entry.until and not same:
            raise Conflict("the record is locked at least as long", reason="lock-shorter", place=row.id)
        if same:
            return
        row.status = "locked"
        enqueue(node, session, transaction)
        record(node, session, Entry("lock", node.msp_id, officer, row.patient, (row.id,), outcome=transaction.reason))
        if row.patient is not None:
            notify(node, session, [f"patient:{row.patient}"], "record-locked", [row.id])
