"""Writing to the ledger so that a logical write happens once, whatever breaks between here and the block.

A logical write is a transaction's name with its arguments: the contract answers an identical one with a success that
changes nothing, so it may be submitted again after a crash, a lost race or an unknown outcome.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from domain import jcs, transactions
from domain.errors import Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant, moment
from domain.ports import TransactionStatus
from domain.transactions import Transaction
from node_service.context import Node
from node_service.database.models import LedgerTransaction, PendingTransaction
from node_service.ledger_sync.backoff import UNENDORSED, backoff
from node_service.ledger_sync.follower import WRITES_AGAIN
from node_service.ledger_sync.projection import VALID

MAX_RACES: Final = 8
RESUBMIT_AFTER: Final = timedelta(seconds=10)
MAX_RESUBMISSIONS_PER_STEP: Final = 200
IDLE: Final = timedelta(seconds=1)
PAUSE_AFTER_FAILURE: Final = timedelta(seconds=1)
_REFUSALS: Final = (Invalid, Denied, NotFound, Conflict)
_OPEN: Final = (
    select(PendingTransaction)
    .where(PendingTransaction.state.in_(("waiting", "broadcast")))
    .order_by(PendingTransaction.created_at)
)
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommittedWrite:
    """A write that is valid in a block which the own projection holds."""

    tx_id: str
    block: int


def submit(node: Node, transaction: Transaction) -> str:
    """Write a logical write down, then endorse and broadcast it; return its transaction id.

    Raises:
        Invalid, Denied, NotFound, Conflict: the contract refused it; this is recorded.
        Unavailable: nothing was broadcast, and nothing will be.
        OutcomeUnknown: it may be in; it will be submitted again until it is.
    """
    name, arguments = transactions.encode(transaction)
    pending = _write_id(name, arguments)
    with node.database.transaction() as session:
        known = session.get(PendingTransaction, pending)
        if known is not None and known.state == "broadcast" and known.tx_id is not None:
            return known.tx_id
        session.merge(_row(node, pending, name, arguments, "broadcast"))
    try:
        return _broadcast(node, pending, name, arguments)
    except Unavailable:
        with node.database.transaction() as session:
            session.execute(delete(PendingTransaction).where(PendingTransaction.id == pending))
        raise


def enqueue(node: Node, session: Session, transaction: Transaction) -> None:
    """Write a logical write down in the caller's transaction; the resubmitter brings it to the ledger."""
    name, arguments = transactions.encode(transaction)
    pending = _write_id(name, arguments)
    if session.get(PendingTransaction, pending) is None:
        session.add(_row(node, pending, name, arguments, "waiting"))


async def submit_and_wait(node: Node, transaction: Transaction) -> CommittedWrite:
    """Submit a logical write and wait until it is valid in a block of the own projection.

    Raises:
        Invalid, Denied, NotFound, Conflict: the contract refused it, or the network's validation did.
        Unavailable: nothing was broadcast.
        OutcomeUnknown: not seen in a block in time; it will be submitted again until it is.
    """
    for _ in range(MAX_RACES):
        tx_id = await node.in_ledger(submit, node, transaction)
        status = await node.commits.committed(tx_id, node.settings.commit_timeout_s)
        if status.valid:
            return CommittedWrite(tx_id, status.block)
        if status.code not in WRITES_AGAIN:
            raise Conflict(f"the network refused the transaction: {status.code}", reason="not-valid", place=tx_id)
    raise Unavailable("other writes were faster each time", reason="races")


class Resubmitter:
    """Brings pending writes to the ledger; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._paused_until: datetime | None = None
        self._backoff = backoff()

    def step(self, now: datetime) -> datetime:
        """Submit what waits, ask about what is unknown; return when to look again."""
        if self._paused_until is not None and now < self._paused_until <= now + PAUSE_AFTER_FAILURE:
            return self._paused_until
        due = self._due(now)
        try:
            for row in due:
                self._bring(row, now)
        except (Unavailable, OutcomeUnknown):
            self._paused_until = now + PAUSE_AFTER_FAILURE
            return self._paused_until
        return now if len(due) == MAX_RESUBMISSIONS_PER_STEP else now + IDLE

    def _due(self, now: datetime) -> list[PendingTransaction]:
        with self._node.database.reading() as session:
            rows = session.scalars(_OPEN).all()
        self._backoff.keep({row.id for row in rows})
        return [
            row
            for row in rows
            if (row.state == "waiting" or not moment(row.created_at) <= now < moment(row.created_at) + RESUBMIT_AFTER)
            and self._backoff.is_due(row.id, now)
        ][:MAX_RESUBMISSIONS_PER_STEP]

    def _bring(self, row: PendingTransaction, now: datetime) -> None:
        status = self._node.ledger.status(row.tx_id) if row.tx_id is not None else None
        if status is not None and self._is_final(row, status):
            return
        if UNENDORSED in (row.reason, None if status is None else status.code):
            self._backoff.tried(row.id, now)
        try:
            _broadcast(self._node, row.id, row.name, row.arguments)
        except _REFUSALS as error:
            _LOG.warning("a pending %s was refused: %s", row.name, error.reason)

    def _is_final(self, row: PendingTransaction, status: TransactionStatus) -> bool:
        """True if nothing is left to do; the follower settles the row when it projects the block, if it has not yet."""
        if status.code in WRITES_AGAIN:
            return False
        with self._node.database.transaction() as session:
            if status.valid:
                _settle_unless_projected(session, row.id, status.tx_id)
            else:
                _settle(session, row.id, "refused", reason=status.code)
        return True


def _broadcast(node: Node, pending: str, name: str, arguments: bytes) -> str:
    try:
        tx_id = node.ledger.submit(name, arguments)
    except _REFUSALS as error:
        with node.database.transaction() as session:
            _settle(session, pending, "refused", reason=error.reason)
        raise
    except OutcomeUnknown as error:
        with node.database.transaction() as session:
            _settle_unless_projected(session, pending, error.tx_id)
        return _found_after_all(node, error)
    with node.database.transaction() as session:
        _settle_unless_projected(session, pending, tx_id)
    return tx_id


def _found_after_all(node: Node, unknown: OutcomeUnknown) -> str:
    """The id if the peer knows the transaction already.

    Raises:
        OutcomeUnknown: it does not, or cannot be asked.
    """
    try:
        status = node.ledger.status(unknown.tx_id)
    except Unavailable:
        raise unknown from None
    if status is None:
        raise unknown
    return status.tx_id


def _settle_unless_projected(session: Session, pending: str, tx_id: str) -> None:
    """Note the id; where the follower was faster than this, what it found decides."""
    found = session.get(LedgerTransaction, tx_id)
    if found is None:
        _settle(session, pending, "broadcast", tx_id=tx_id)
    elif found.code == VALID:
        session.execute(delete(PendingTransaction).where(PendingTransaction.id == pending))
    elif found.code in WRITES_AGAIN:
        _settle(session, pending, "waiting", reason=found.code if found.code == UNENDORSED else None)
    else:
        _settle(session, pending, "refused", tx_id=tx_id, reason=found.code)


def _settle(session: Session, pending: str, state: str, *, tx_id: str | None = None, reason: str | None = None) -> None:
    values = {"state": state, "tx_id": tx_id, "reason": reason}
    session.execute(update(PendingTransaction).where(PendingTransaction.id == pending).values(**values))


def _row(node: Node, pending: str, name: str, arguments: bytes, state: str) -> PendingTransaction:
    return PendingTransaction(
        id=pending,
        name=name,
        arguments=arguments,
        tx_id=None,
        state=state,
        reason=None,
        created_at=instant(node.clock.now()),
    )


def _write_id(name: str, arguments: bytes) -> str:
    """The same for the same logical write."""
    digest = hashlib.sha256(jcs.canonical([name, arguments.decode()])).digest()
    return identifier(digest[:IDENTIFIER_BYTES])
