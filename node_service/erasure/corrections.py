"""The background step that finds new versions of released records, so that their readers learn of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node_service.context import Node
from node_service.database.models import Checkpoint, LogSize, Record, RecordVersion
from node_service.erasure.holders import holders
from node_service.erasure.remover import write_notices
from node_service.logs.log import RECORDS

IDLE: Final = timedelta(seconds=10)
MAX_PER_STEP: Final = 500


class Corrections:
    """One per node; ``step`` is called by one thread. Goes through the record log once, in its order."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Look at the next versions; return when to look again: at once while there may be more.

        Raises:
            Unavailable: database.
        """
        with self._node.database.reading() as session:
            incarnation = session.execute(select(func.max(LogSize.incarnation)).where(LogSize.log == RECORDS)).scalar()
            if incarnation is None:
                return now + IDLE
            name = f"corrections-{incarnation}"
            place = session.get(Checkpoint, name)
            start = 0 if place is None else place.next_block
            found = _versions(session, incarnation, start)
            told = [
                (row, holders(self._node, session, row, before=stored_at))
                for row, stored_at in _superseded(session, found)
            ]
        if not found:
            return now + IDLE
        with self._node.database.transaction() as session:
            for row, hospitals in told:
                write_notices(self._node, session, session.get_one(Record, row.id), "superseded", hospitals)
            session.merge(Checkpoint(name=name, next_block=(found[-1].log_index or 0) + 1, header_hash=b""))
        return now


def _versions(session: Session, incarnation: int, start: int) -> Sequence[RecordVersion]:
    query = select(RecordVersion).where(RecordVersion.incarnation == incarnation, RecordVersion.log_index >= start)
    return session.scalars(query.order_by(RecordVersion.log_index).limit(MAX_PER_STEP)).all()


def _superseded(session: Session, found: Sequence[RecordVersion]) -> list[tuple[Record, str]]:
    """Live records of patients among these that had a version before, with the time of the latest one."""
    later = {version.record: version.stored_at for version in found if version.version > 1}
    rows = ((session.get_one(Record, record), at) for record, at in sorted(later.items()))
    return [(row, at) for row, at in rows if row.kind == "patient" and row.status in ("active", "locked")]
