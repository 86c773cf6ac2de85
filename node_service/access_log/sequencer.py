"""The sequencer: committed rows of the access log into its RFC 6962 log, in order of their ids."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, bindparam, exists, select, update
from sqlalchemy.orm import Session

from domain import merkle
from node_service.context import Node
from node_service.database.models import AccessRow
from node_service.ledger_sync.append_gate import AppendGate, current_incarnation
from node_service.logs.log import ACCESS, Log

MAX_ROWS_PER_STEP: Final = 5_000
IDLE: Final = timedelta(seconds=1)
_WAITS: Final = and_(AccessRow.incarnation.is_(None), AccessRow.log_index.is_(None))
"""Both, so that the index over both finds the waiting rows without reading the others."""
_ANY_WAITS: Final = select(exists().where(_WAITS))


class Sequencer:
    """One per node; ``step`` is called by one thread, so that a row is in the log within a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._gate = AppendGate(node, ACCESS)

    def step(self, now: datetime) -> datetime:
        """Integrate the rows that wait; return when to look again.

        Raises:
            Unavailable: the database; the rows wait.
            Tampered: the log in the database is damaged.
        """
        with self._node.database.reading() as session:
            waits = session.execute(_ANY_WAITS).scalar_one()
            if not waits or not self._gate.is_open(session):
                return now + IDLE
        with self._node.database.transaction() as session:
            count = integrate(session) if self._gate.is_open(session) else 0
        return now if count == MAX_ROWS_PER_STEP else now + IDLE


def integrate(session: Session) -> int:
    """Append the oldest waiting rows in the caller's transaction; return how many."""
    rows = session.execute(
        select(AccessRow.id, AccessRow.leaf)
        .where(_WAITS)
        .order_by(AccessRow.id)
        .limit(MAX_ROWS_PER_STEP)
        .with_for_update()
    ).all()
    if not rows:
        return 0
    incarnation = current_incarnation(session)
    first = Log(session, ACCESS, incarnation).append([merkle.leaf_hash(row.leaf) for row in rows])
    table = AccessRow.__table__
    session.connection().execute(
        update(AccessRow)
        .where(table.c.id == bindparam("b_id"))
        .values(incarnation=incarnation, log_index=bindparam("b_index")),
        [{"b_id": row.id, "b_index": index} for index, row in enumerate(rows, first)],
    )
    return len(rows)
