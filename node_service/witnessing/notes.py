"""Checkpoints of the witness log that this node keeps, and what they witness."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from domain.checkpoints import SignedNote, parse_note
from node_service.database.models import AnchoredHead, LedgerState
from node_service.database.witness_models import WitnessCheckpoint
from node_service.ledger_sync import projection

KEPT: Final = 64
"""The newest cover all blocks before them; some older ones stay for signers that the newest lack."""


def newest(session: Session) -> WitnessCheckpoint | None:
    """The largest checkpoint that is kept."""
    return session.scalars(select(WitnessCheckpoint).order_by(WitnessCheckpoint.size.desc()).limit(1)).first()


def keep(session: Session, note: SignedNote, signers: Collection[str], *, witnessed: bool) -> None:
    """Keep a note in the caller's transaction; the oldest go."""
    size = note.checkpoint.size
    session.merge(WitnessCheckpoint(size=size, note=note.text(), signers=sorted(signers), witnessed=witnessed))
    session.flush()
    kept = select(WitnessCheckpoint.size).order_by(WitnessCheckpoint.size.desc()).offset(KEPT - 1).limit(1)
    oldest = session.execute(kept).scalar_one_or_none()
    if oldest is not None:
        session.execute(delete(WitnessCheckpoint).where(WitnessCheckpoint.size < oldest))


def best_covering(session: Session, block: int, counted: Collection[str]) -> SignedNote | None:
    """The note over a block that most of those signed whose signatures count; None where none covers it."""
    rows = session.scalars(select(WitnessCheckpoint).where(WitnessCheckpoint.size > block)).all()
    if not rows:
        return None
    return parse_note(max(rows, key=lambda row: (len(set(row.signers) & set(counted)), row.size)).note)


def witnessed_size(session: Session) -> int:
    """Size of the largest checkpoint that enough members beside this hospital signed; 0 where none is."""
    query = select(func.max(WitnessCheckpoint.size)).where(WitnessCheckpoint.witnessed)
    return session.execute(query).scalar_one_or_none() or 0


def witnessed_heads(session: Session, msp_id: str, log: str) -> dict[int, int]:
    """How many leaves of each incarnation of an own log lie under a head in a witnessed block."""
    size = witnessed_size(session)
    if not size:
        return {}
    query = (
        select(AnchoredHead.incarnation, func.max(AnchoredHead.size))
        .where(AnchoredHead.msp_id == msp_id, AnchoredHead.log == log, AnchoredHead.block < size)
        .group_by(AnchoredHead.incarnation)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def newest_anchored_block(session: Session, msp_id: str) -> int | None:
    """The block of the hospital's last anchor."""
    prefix = projection.composite_key("log", msp_id)
    query = select(func.max(LedgerState.block)).where(
        LedgerState.key > prefix, LedgerState.key < prefix + "\U0010ffff".encode()
    )
    return session.execute(query).scalar_one_or_none()
