"""Opening the next incarnation of the hospital's logs, when a restore lost leaves that are anchored already."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from domain import merkle
from domain.entries import LogEntry, incarnation_attribute
from domain.errors import Conflict, Unavailable
from domain.identifiers import encode_bytes
from domain.transactions import Anchor, LogHead, Opening
from node_service.context import Node
from node_service.database.models import AccessRow, Alarm, AnchoredHead, LogSize, Outbox, RecordVersion
from node_service.ledger_sync import projection
from node_service.ledger_sync.append_gate import ANCHORER, current_incarnation
from node_service.ledger_sync.submission import enqueue
from node_service.logs.log import ACCESS, RECORDS, Log

_EMPTY: Final = LogHead(0, encode_bytes(merkle.empty_root()), ())


def open_incarnation(node: Node, reason: str) -> int:
    """Begin the next incarnation of both logs, with the sizes that are still held of the last one; a person decides it.

    Leaves up to the last head that can still be proven stay valid under it. Those behind move to the new incarnation,
    also where a head covers them together with lost ones: their proof would need these. The opening goes to the ledger
    as a pending write, where every member sees it.

    Returns:
        The number of the new incarnation.

    Raises:
        Invalid: no reason of the closed list.
        Conflict: nothing was anchored yet, so there is nothing to continue.
        Unavailable: the projection has not caught up with the ledger, or the database cannot write.
    """
    height = node.ledger.height()
    with node.database.transaction() as session:
        if projection.height(session) < height:
            raise Unavailable("the own view of the ledger is behind", reason="projection-behind")
        former = current_incarnation(session)
        anchored = projection.entry(session, LogEntry, node.msp_id, incarnation_attribute(former))
        if anchored is None:
            raise Conflict("the present incarnation is not anchored yet", reason="not-anchored")
        held = Opening(
            reason,
            records_size=_shorten(session, node.msp_id, RECORDS, former),
            access_size=_shorten(session, node.msp_id, ACCESS, former),
        )
        _begin(session, former + 1)
        _move_records(session, former, held.records_size)
        _move_access_rows(session, former, held.access_size)
        unwraps = node.custody.count().released
        enqueue(node, session, Anchor(former + 1, held, _EMPTY, _EMPTY, unwraps))
        session.execute(delete(Alarm).where(Alarm.name == ANCHORER))
    return former + 1


def _shorten(session: Session, msp_id: str, log: str, former: int) -> int:
    """Let a log end with the last anchored head whose leaves are all held; return its size."""
    heads = select(func.max(AnchoredHead.size)).filter_by(msp_id=msp_id, log=log, incarnation=former)
    size = session.scalar(heads.where(AnchoredHead.size <= Log(session, log, former).size)) or 0
    session.execute(update(LogSize).filter_by(log=log, incarnation=former).values(size=size))
    return size


def _begin(session: Session, incarnation: int) -> None:
    rows = [{"log": log, "incarnation": incarnation, "size": 0} for log in (RECORDS, ACCESS)]
    session.execute(insert(LogSize), rows)


def _move_records(session: Session, former: int, held: int) -> None:
    """Leaves beyond the last head that is held go back into the outbox, in their order."""
    beyond = (RecordVersion.incarnation == former, RecordVersion.log_index >= held)
    query = select(RecordVersion.record, RecordVersion.version, RecordVersion.leaf_hash)
    rows = session.execute(query.where(*beyond).order_by(RecordVersion.log_index)).all()
    if rows:
        session.execute(
            insert(Outbox),
            [{"record": row.record, "version": row.version, "leaf_hash": row.leaf_hash} for row in rows],
        )
        session.execute(update(RecordVersion).where(*beyond).values(incarnation=None, log_index=None))


def _move_access_rows(session: Session, former: int, held: int) -> None:
    beyond = (AccessRow.incarnation == former, AccessRow.log_index >= held)
    session.execute(update(AccessRow).where(*beyond).values(incarnation=None, log_index=None))
