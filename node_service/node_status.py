"""How far a node is: ledger, projection, outbox, logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from node_service.client.wire import NodeStatus
from node_service.context import Node
from node_service.database.models import AccessRow, AnchoredHead, Outbox, PendingTransaction, Record, RecordVersion
from node_service.database.scrub_models import DamagedObject
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.backoff import UNENDORSED
from node_service.ledger_sync.projection import height
from node_service.logs.log import RECORDS
from node_service.records.scrubber import scrubbed_objects
from node_service.witnessing.notes import witnessed_heads


def node_status(node: Node) -> NodeStatus:
    """Measure the node now.

    Raises:
        Unavailable: the ledger or the database does not answer.
    """
    stores = node.blobs.report()
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
            witnessed=_witnessed(session, node.msp_id),
            scrubbed=scrubbed_objects(session),
            damaged=_count(session, DamagedObject.digest),
            unendorsed=_count(session, PendingTransaction.id, PendingTransaction.reason == UNENDORSED),
            stores=max(1, len(stores.copies)),
            stores_down=sum(not copy.well for copy in stores.copies),
            store_ready=stores.ready,
            store_copies_owed=sum(copy.owed_copies for copy in stores.copies),
            store_erasures_owed=sum(copy.owed_erasures for copy in stores.copies),
            store_copies_healed=sum(copy.healed for copy in stores.copies),
            alarm=f"{standing[0].name}: {standing[0].reason}" if standing else None,
        )


def _anchored(session: Session, msp_id: str) -> int:
    """How many record versions an own anchored head covers."""
    heads = select(AnchoredHead.incarnation, func.max(AnchoredHead.size)).where(
        AnchoredHead.msp_id == msp_id, AnchoredHead.log == RECORDS
    )
    grouped = session.execute(heads.group_by(AnchoredHead.incarnation))
    return _covered(session, {row[0]: row[1] for row in grouped})


def _witnessed(session: Session, msp_id: str) -> int:
    """How many record versions stand under a head that enough other members signed."""
    return _covered(session, witnessed_heads(session, msp_id, RECORDS))


def _covered(session: Session, heads: Mapping[int, int]) -> int:
    if not heads:
        return 0
    below = [and_(RecordVersion.incarnation == one, RecordVersion.log_index < size) for one, size in heads.items()]
    return _count(session, RecordVersion.record, or_(*below))


def _count(session: Session, column: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]) -> int:
    return int(session.execute(select(func.count(column)).where(*conditions)).scalar_one())
