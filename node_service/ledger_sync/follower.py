"""The follower: verified blocks from the checkpoint on into the projection, in the order of the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from domain.errors import Tampered, Unavailable
from domain.instants import instant
from domain.ports import CommittedBlock, Ledger, TransactionStatus
from node_service.database.engine import Database
from node_service.database.models import Alarm, PendingTransaction
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import raise_alarm
from node_service.ledger_sync.backoff import UNENDORSED
from node_service.ledger_sync.commits import ProjectedCommits

MAX_BLOCKS_PER_TRANSACTION: Final = 64
IDLE: Final = timedelta(seconds=1)
PAUSE_AFTER_FAILURE: Final = timedelta(seconds=1)
WRITES_AGAIN: Final = (
    "MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT", UNENDORSED, "DUPLICATE_TXID"
)  # fmt: skip
"""Codes after which the same logical write is submitted again: it lost a race, nothing is wrong with it.

Endorsements do not suffice any more where their organisation left the channel before the block came; where that lasts,
the pauses between attempts grow (:mod:`node_service.ledger_sync.backoff`). A duplicate id is the second copy of a
transaction whose first copy has settled the write, or an id that somebody else took: an endorser sees it before it is
ordered. The write gets another id.
"""


class Follower:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, database: Database, ledger: Ledger, commits: ProjectedCommits) -> None:
        self._database = database
        self._ledger = ledger
        self._commits = commits
        self._projected: int | None = None  # only to see cheaply that nothing is new; the checkpoint decides
        self._awaits: int | None = None

    @property
    def awaits(self) -> int | None:
        """The height above which there is something to do; None where only time helps, as after a failure."""
        return self._awaits

    def step(self, now: datetime) -> datetime:
        """Project the blocks that exist; return when to look again.

        A block that does not verify raises an alarm; while it stands nothing is projected.
        """
        self._awaits = None
        try:
            count = self._project()
        except Tampered as error:
            raise_alarm(self._database, projection.FOLLOWER, error, instant(now))
            return now + PAUSE_AFTER_FAILURE
        except Unavailable:
            return now + PAUSE_AFTER_FAILURE
        return now if count == MAX_BLOCKS_PER_TRANSACTION else now + IDLE

    def _project(self) -> int:
        if self._projected is not None and self._ledger.height() == self._projected:
            self._awaits = self._projected
            return 0
        with self._database.reading() as session:
            start = projection.height(session)
            stopped = session.get(Alarm, projection.FOLLOWER) is not None
        if stopped:
            return 0
        blocks: list[CommittedBlock] = []
        broken: Tampered | None = None
        try:
            for block in islice(self._ledger.blocks(start), MAX_BLOCKS_PER_TRANSACTION):
                blocks.append(block)
        except Tampered as error:
            broken = error
        if blocks:
            self._apply(blocks)
        if broken is not None:
            raise broken
        self._awaits = self._projected = start + len(blocks)
        return len(blocks)

    def _apply(self, blocks: list[CommittedBlock]) -> None:
        statuses = [
            TransactionStatus(transaction.tx_id, transaction.code, block.number)
            for block in blocks
            for transaction in block.transactions
        ]
        with self._database.transaction() as session:
            for block in blocks:
                projection.apply_block(session, block)
            for status in statuses:
                _settle_pending(session, status)
        self._commits.resolve(statuses, blocks[-1].number + 1)


def _settle_pending(session: Session, status: TransactionStatus) -> None:
    """What became of a logical write of this node: done, to be tried again, or refused for good."""
    own = PendingTransaction.tx_id == status.tx_id
    if status.valid:
        session.execute(delete(PendingTransaction).where(own))
    elif status.code in WRITES_AGAIN:
        reason = status.code if status.code == UNENDORSED else None
        session.execute(update(PendingTransaction).where(own).values(state="waiting", tx_id=None, reason=reason))
    else:
        session.execute(update(PendingTransaction).where(own).values(state="refused", reason=status.code))
