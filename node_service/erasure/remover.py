"""The background step that carries erasures and retractions through, whatever breaks in between.

Order of an erasure (records-and-keys.md, "Erasure and retention"), each step durable before the next:
1 ``EraseRecord`` is valid on the ledger; 2 the record is closed here; 3 custody forgets its keys, and those of what is
left of its Bundles; 4 the objects are deleted; 5 rows are deleted and blanked, and the hospitals that had the record
are written down to be told. A retraction has steps 1, 2 and the last, and loses only the wraps of the wrong person.
Every step may be repeated: after a crash the row says which one is next.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.entries import StatusEntry
from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from domain.transactions import MAX_RECORDS, EraseRecord, RetractRecord, Transaction
from node_service.access_log.rows import Entry
from node_service.access_log.rows import record as log_row
from node_service.context import Node
from node_service.database.erasure_models import ErasureItem, ReleaseNotice, Removal
from node_service.database.models import Record
from node_service.erasure.deciding import SYSTEM, order_removal
from node_service.erasure.forgetting import forget_for_good, forget_what_custody_lost
from node_service.erasure.holders import holders
from node_service.erasure.removing import delete_objects, delete_patient_wraps, delete_rows
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit
from node_service.sharing.notices import notify

IDLE: Final = timedelta(seconds=10)
WAIT: Final = timedelta(milliseconds=200)
MAX_PER_STEP: Final = 200
UNDER_WAY: Final = ("ordered", "committed", "forgotten")
_DONE_ON_LEDGER: Final = {"erase": ("erased",), "retract": ("retracted", "erased")}
_LOG: Final = logging.getLogger(__name__)


class Remover:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._compared_height = 0
        self._has_old_pages = True  # before a crash something may have been deleted
        self._has_compared_custody = False

    def step(self, now: datetime) -> datetime:
        """Bring every removal one or more steps further; return when to look again.

        Raises:
            Unavailable, OutcomeUnknown: ledger, database, store or custody; the next call goes on where this one ended.
            Tampered: custody.
        """
        self._compare_with_ledger(now)
        if not self._has_compared_custody:
            forget_what_custody_lost(self._node, now)
            self._has_compared_custody = True
        work = self._work()
        if not work:
            self._truncate()
            return now + IDLE
        self._submit([one for one in work if one.state == "ordered"])
        # The keys of all of them go before anybody waits for a store, which may be down.
        ready = [one.record for one in work if self._forget(one.record)]
        finished = [self._delete(record) for record in ready]
        self._has_old_pages = self._has_old_pages or any(finished)
        self._truncate()
        return now + WAIT

    def _truncate(self) -> None:
        if self._has_old_pages:
            self._has_old_pages = not self._node.database.truncate_log()

    def _work(self) -> Sequence[Removal]:
        query = select(Removal).where(Removal.state.in_(UNDER_WAY)).order_by(Removal.ordered_at, Removal.record)
        with self._node.database.reading() as session:
            return session.scalars(query.limit(MAX_PER_STEP)).all()

    def _compare_with_ledger(self, now: datetime) -> None:
        """After a restore the ledger may know of erasures that the database does not: they are done again.

        The projection learns of them only while it catches up, so what new blocks say is compared, too.
        """
        with self._node.database.reading() as session:
            height = projection.height(session)
            if height == self._compared_height:  # nothing was read since
                return
            unknown = self._erased_on_ledger(session)
        if unknown:
            with self._node.database.transaction() as session:
                for record in unknown:
                    order_removal(session, record, "erase", None, instant(now))
        self._compared_height = height

    def _erased_on_ledger(self, session: Session) -> list[str]:
        """Own records that the ledger calls erased since the last comparison, and the database does not."""
        entries = projection.typed_states(session, StatusEntry, self._node.msp_id, since=self._compared_height)
        erased = (names[1] for names, entry in entries if entry.status == "erased")
        rows = (session.get(Record, record) for record in erased)
        return [row.id for row in rows if row is not None and row.status != "erased"]

    def _submit(self, ordered: Sequence[Removal]) -> None:
        """Bring to the ledger what is not there yet; a submission that is under way is not doubled."""
        with self._node.database.reading() as session:
            waiting = [one for one in ordered if not _is_on_ledger(self._node, session, one)]
        erased = sorted(one.record for one in waiting if one.action == "erase")
        for start in range(0, len(erased), MAX_RECORDS):
            part = tuple(erased[start : start + MAX_RECORDS])
            if self._refused(EraseRecord(part)) and len(part) > 1:
                for record in part:
                    self._refused(EraseRecord((record,)))
        for one in waiting:
            if one.action == "retract":
                self._refused(RetractRecord(one.record, one.reason or "entered-in-error"))

    def _refused(self, transaction: Transaction) -> bool:
        try:
            submit(self._node, transaction)
        except (Invalid, Denied, NotFound, Conflict) as error:
            _LOG.warning("the contract refuses %s: %s", type(transaction).__name__, error.reason)
            return True
        return False

    def _forget(self, record: str) -> bool:
        """Close the record and forget its keys, if the ledger says so; true if the rest may follow."""
        with self._node.database.transaction() as session:
            removal = session.get_one(Removal, record)
            if removal.state == "ordered" and not _close(self._node, session, removal):
                return False
            state, action = removal.state, removal.action
        if action == "erase" and state == "committed":
            forget_for_good(self._node, record, instant(self._node.clock.now()))
        return True

    def _delete(self, record: str) -> bool:
        """Delete the objects of an erased record and come to the end; true."""
        with self._node.database.reading() as session:
            action = session.get_one(Removal, record).action
        if action == "erase":
            delete_objects(self._node, record)
        return _finish(self._node, record, instant(self._node.clock.now()))


def _is_on_ledger(node: Node, session: Session, removal: Removal) -> bool:
    entry = projection.entry(session, StatusEntry, node.msp_id, removal.record)
    return entry is not None and entry.status in _DONE_ON_LEDGER[removal.action]


def _close(node: Node, session: Session, removal: Removal) -> bool:
    """Once the ledger says so, nobody reads it here any more; a lock that came first sends the order back."""
    row = session.get_one(Record, removal.record)
    if not _is_on_ledger(node, session, removal):
        entry = projection.entry(session, StatusEntry, node.msp_id, removal.record)
        if entry is not None and entry.until is not None and entry.until > instant(node.clock.now()):
            _send_back(session, removal, entry)
        return False
    written = projection.transaction_of(session, "status", node.msp_id, removal.record)
    removal.tx_id = None if written is None else written.tx_id
    removal.state = "committed"
    row.status = "erased" if removal.action == "erase" else "retracted"
    return True


def _send_back(session: Session, removal: Removal, entry: StatusEntry) -> None:
    query = select(ErasureItem).where(ErasureItem.record == removal.record, ErasureItem.state == "ordered")
    if removal.action != "erase":
        return  # a lock does not stand against a retraction
    for item in session.scalars(query):
        item.state, item.until, item.rule = "locked", entry.until, f"hold-{entry.reason or 'lock'}"
    if removal.reason is None or entry.status == "retracted":
        session.delete(removal)
        return
    removal.action, removal.ordered_by = "retract", None  # the ledger has yet to learn of the retraction before


def _finish(node: Node, record: str, at: str) -> bool:
    with node.database.transaction() as session:
        removal, row = session.get_one(Removal, record), session.get_one(Record, record)
        is_erasure = removal.action == "erase"
        event = "erased" if is_erasure else "retracted"
        told = holders(node, session, row)
        if is_erasure:
            delete_rows(node, session, row)
        else:
            delete_patient_wraps(session, [record])
        write_notices(node, session, row, event, told)
        removal.state, removal.done_at = "done", at
        actor = removal.ordered_by or SYSTEM
        log_row(node, session, Entry(removal.action, node.msp_id, actor, row.patient, (record,)))
        if row.patient is not None:
            notify(node, session, [f"patient:{row.patient}"], f"record-{event}", [record])
    return True


def write_notices(node: Node, session: Session, row: Record, event: str, told: Sequence[str]) -> None:
    """Write down whom to tell, once per event and version, in the caller's transaction."""
    known = set(
        session.scalars(
            select(ReleaseNotice.msp_id).where(
                ReleaseNotice.record == row.id,
                ReleaseNotice.event == event,
                ReleaseNotice.version == row.current_version,
            )
        )
    )
    session.add_all(
        ReleaseNotice(
            id=identifier(node.random(IDENTIFIER_BYTES)), record=row.id, msp_id=msp_id, event=event,
            version=row.current_version, created_at=instant(node.clock.now()), answer=None, answered_at=None,
        )
        for msp_id in told
        if msp_id not in known
    )  # fmt: skip
