"""How far a node is: ledger, projection, outbox, logs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from node_service.client.wire import NodeStatus
from node_service.context import Node
from node_service.database.models import AccessRow, AnchoredHead, Outbox, Record, RecordVersion
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.projection import height


def node_status(node: Node) -> NodeStatus:
    """Measure the node now.

    Raises:
        Unavailable: the ledger or the database does not answer.
    """
    with node.database.reading() as session:
        standing = alarms(session)
        return NodeStatus(
            msp_id=node.msp_id,
            channel=node.ledger.channel,
            height=node.ledger.height(),
            projected=height(session),
            outbox=_count(session, Outbox.id),
            unsequenced=_count(session, AccessRow.id, AccessRow.log_index.is_(None)),
            records=_count(session, Record.id),
            anchored=_anchored(session, node.msp_id),
            alarm=f"{standing[0].name}: {standing[0].reason}" if standing else None,
        )


def _anchored(session: Session, msp_id: str) -> int:
    """How many record versions an own anchored head covers."""
    heads = session.execute(
        select(AnchoredHead.incarnation, func.max(AnchoredHead.size))
        .where(AnchoredHead.msp_id == msp_id, AnchoredHead.log == "records")
        .group_by(AnchoredHead.incarnation)
    ).all()
    if not heads:
        return 0
    covered = [and_(RecordVersion.incarnation == number, RecordVersion.log_index < size) for number, size in heads]
    return _count(session, RecordVersion.record, or_(*covered))


def _count(session: Session, column: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]) -> int:
    return int(session.execute(select(func.count(column)).where(*conditions)).scalar_one())
