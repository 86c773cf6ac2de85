"""The anchorer: leaves from the outbox into the record log, and heads of both logs onto the ledger.

It keeps nothing that a crash could lose: what is appended is in the database, what is anchored is in the projection,
and an anchor submitted twice, or beside a larger one, changes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from domain import merkle, transactions
from domain.entries import Head, LogEntry, incarnation_attribute
from domain.errors import OutcomeUnknown, Tampered, YilianError
from domain.identifiers import decode_bytes, encode_bytes
from domain.instants import instant
from domain.transactions import Anchor, LogHead
from node_service.context import Node
from node_service.database.models import (
    AccessRow,
    Outbox,
    RecordVersion,
)
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import raise_alarm
from node_service.ledger_sync.append_gate import ANCHORER, AppendGate, current_incarnation
from node_service.ledger_sync.backoff import UNENDORSED, backoff
from node_service.logs.log import ACCESS, RECORDS, Log, recomputed_root

MAX_LEAVES_PER_APPEND: Final = 5_000
IDLE: Final = timedelta(seconds=1)
PAUSE_AFTER_FAILURE: Final = timedelta(seconds=1)
FORGET_AFTER: Final = timedelta(seconds=10)
_ANY_WAITS: Final = select(exists().select_from(Outbox))
_EMPTY: Final = Head(0, encode_bytes(merkle.empty_root()))
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _InFlight:
    tx_id: str
    since: datetime


class Anchorer:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._in_flight: _InFlight | None = None
        self._last_anchor: datetime | None = None
        self._paused_until: datetime | None = None
        self._gate = AppendGate(node, RECORDS)
        self._settled: tuple[int, int, int] | None = None
        self._backoff = backoff()

    def step(self, now: datetime) -> datetime:
        """Append what waits, anchor what is due; return when to look again.

        What does not verify raises an alarm; while it stands nothing is anchored.
        """
        if self._paused_until is not None and now < self._paused_until <= now + PAUSE_AFTER_FAILURE:
            return self._paused_until
        try:
            return self._step(now)
        except Tampered as error:
            raise_alarm(self._node.database, ANCHORER, error, instant(now))
        except YilianError as error:
            _LOG.warning("anchoring has to wait: %s", error.reason)
            self._paused_until = now + PAUSE_AFTER_FAILURE
        return now + PAUSE_AFTER_FAILURE

    def _step(self, now: datetime) -> datetime:
        idle = now if self._append() else now + IDLE
        if self._is_blocked(now):
            return idle
        with self._node.database.reading() as session:
            growth = self._growth(session)
            if growth is None:
                return idle
            due = self._due(growth, now)
            if now < due:
                return min(due, idle)
            records, access = growth.heads(session)
        unwraps = self._node.custody.count().released
        if unwraps < growth.anchored_unwraps:
            detail = "custody has opened fewer keys than are anchored: its log was cut or restored"
            raise Tampered(detail, reason="unwraps-fell", place=f"{unwraps} of {growth.anchored_unwraps}")
        self._submit(Anchor(growth.incarnation, None, records, access, unwraps), now)
        return idle

    def _append(self) -> bool:
        """Move leaves from the outbox into the record log; true if more wait."""
        with self._node.database.reading() as session:
            waits = session.execute(_ANY_WAITS).scalar_one()
            if not waits or not self._gate.is_open(session):
                return False
        with self._node.database.transaction() as session:
            return self._gate.is_open(session) and append_outbox(session) == MAX_LEAVES_PER_APPEND

    def _is_blocked(self, now: datetime) -> bool:
        """True while an alarm stands, the projection has not caught up with the start, an anchor is on its way, or
        anchors are not endorsed.
        """
        if not self._backoff.is_due(ANCHORER, now):
            return True
        with self._node.database.reading() as session:
            if not self._gate.has_caught_up(session):
                return True
            sent = self._in_flight
            if sent is None:
                return False
            seen = projection.code_and_block(session, sent.tx_id)
        if seen is not None and seen[0] == UNENDORSED:
            self._backoff.tried(ANCHORER, now)
        elif seen is not None:
            self._backoff.keep(())
        if (
            seen is not None or not sent.since <= now < sent.since + FORGET_AFTER
        ):  # also where the clock was set back meanwhile
            self._in_flight = None
        return self._in_flight is not None or not self._backoff.is_due(ANCHORER, now)

    def _growth(self, session: Session) -> _Growth | None:
        """What waits for an anchor; None if nothing was appended since everything was anchored."""
        incarnation = current_incarnation(session)
        records, access = Log(session, RECORDS, incarnation), Log(session, ACCESS, incarnation)
        sizes = (incarnation, records.size, access.size)
        if sizes == self._settled:
            return None
        anchored = projection.entry(session, LogEntry, self._node.msp_id, incarnation_attribute(incarnation))
        heads = (anchored.records, anchored.access) if anchored else (_EMPTY, _EMPTY)
        growth = _Growth(incarnation, records, access, *heads, anchored.unwraps if anchored else 0)
        if not growth.has_records and not growth.has_access:
            self._settled = sizes
            return None
        return growth

    def _due(self, growth: _Growth, now: datetime) -> datetime:
        """When what has grown may be anchored; at once where the clock was set back."""
        settings = self._node.settings
        interval = settings.anchor_interval_s if growth.has_records else settings.access_anchor_interval_s
        last = self._last_anchor
        return now if last is None or last > now else last + timedelta(seconds=interval)

    def _submit(self, anchor: Anchor, now: datetime) -> None:
        self._last_anchor = now
        try:
            tx_id = self._node.ledger.submit(*transactions.encode(anchor))
        except OutcomeUnknown as error:
            tx_id = error.tx_id
        self._in_flight = _InFlight(tx_id, now)


@dataclass(frozen=True, slots=True)
class _Growth:
    """What both logs hold beyond their heads on the ledger."""

    incarnation: int
    records: Log
    access: Log
    anchored_records: Head
    anchored_access: Head
    anchored_unwraps: int

    @property
    def has_records(self) -> bool:
        """True if record leaves wait for an anchor, or the record log became shorter, which its head will name."""
        return self.records.size != self.anchored_records.size

    @property
    def has_access(self) -> bool:
        """The same for the access log."""
        return self.access.size != self.anchored_access.size

    def heads(self, session: Session) -> tuple[LogHead, LogHead]:
        """The new heads with the proofs that they continue the anchored ones.

        Raises:
            Tampered: the database does not continue what is anchored.
        """
        records = _record_leaves(session, self.incarnation, self.anchored_records.size, self.records.size)
        access = _access_leaves(session, self.incarnation, self.anchored_access.size, self.access.size)
        return _head(self.records, self.anchored_records, records), _head(self.access, self.anchored_access, access)


def append_outbox(session: Session) -> int:
    """Append the oldest leaves of the outbox to the record log, in the caller's transaction; return how many."""
    rows = session.execute(
        select(Outbox.id, Outbox.record, Outbox.version, Outbox.leaf_hash)
        .order_by(Outbox.id)
        .limit(MAX_LEAVES_PER_APPEND)
        .with_for_update()
    ).all()
    if not rows:
        return 0
    incarnation = current_incarnation(session)
    first = Log(session, RECORDS, incarnation).append([row.leaf_hash for row in rows])
    placed = [
        {"b_record": row.record, "b_version": row.version, "b_index": index} for index, row in enumerate(rows, first)
    ]
    table = RecordVersion.__table__
    session.connection().execute(
        update(RecordVersion)
        .where(table.c.record == bindparam("b_record"), table.c.version == bindparam("b_version"))
        .values(incarnation=incarnation, log_index=bindparam("b_index")),
        placed,
    )
    # By id, not up to the last: where writers do not queue up, a smaller id may be committed after it was looked for.
    outbox = Outbox.__table__
    session.connection().execute(
        delete(Outbox).where(outbox.c.id == bindparam("b_id")), [{"b_id": row.id} for row in rows]
    )
    return len(rows)


def _head(log: Log, anchored: Head, leaves: list[bytes]) -> LogHead:
    """The head over committed leaves; hashes in the database must agree with what the leaves themselves give."""
    if log.size < anchored.size:
        raise Tampered("the log is shorter than its anchored head", reason="log-behind", place=f"size {log.size}")
    if anchored.size + len(leaves) != log.size:
        raise Tampered("leaves of the log are missing", reason="log-leaves", place=f"size {log.size}")
    root = recomputed_root(log, anchored.size, decode_bytes(anchored.root, "root"), leaves)
    if log.root() != root:
        raise Tampered("the log's hashes are not those of its leaves", reason="log-hashes", place=f"size {log.size}")
    proof = tuple(encode_bytes(item) for item in log.consistency(anchored.size, log.size))
    return LogHead(log.size, encode_bytes(root), proof)


def _record_leaves(session: Session, incarnation: int, begin: int, end: int) -> list[bytes]:
    query = select(RecordVersion.leaf).where(
        RecordVersion.incarnation == incarnation, RecordVersion.log_index >= begin, RecordVersion.log_index < end
    )
    return [merkle.leaf_hash(leaf) for leaf in session.scalars(query.order_by(RecordVersion.log_index))]


def _access_leaves(session: Session, incarnation: int, begin: int, end: int) -> list[bytes]:
    query = select(AccessRow.leaf).where(
        AccessRow.incarnation == incarnation, AccessRow.log_index >= begin, AccessRow.log_index < end
    )
    return [merkle.leaf_hash(leaf) for leaf in session.scalars(query.order_by(AccessRow.log_index))]
