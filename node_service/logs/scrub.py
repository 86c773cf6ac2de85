"""Recomputes the hospital's logs from their rows, a window at a time, against stored hashes and anchored heads.

A window is a whole number of perfect subtrees, so that what lies in it is computed from its leaves alone; the subtrees
above it are computed from stored hashes that an earlier window has confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import merkle
from domain.errors import Tampered
from node_service.database.models import AccessRow, AnchoredHead, RecordVersion
from node_service.logs.log import ACCESS, Log, Place

WINDOW_LEAVES: Final = 1_024
_FETCH_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as its row has it: the hash of its bytes, the hash that is kept beside them, and the row's name."""

    index: int
    computed: bytes
    kept: bytes
    row: str


def stored_leaves(
    session: Session, log: str, incarnation: int, begin: int = 0, end: int | None = None
) -> Iterator[StoredLeaf]:
    """The leaves of a log in order of their index, from ``begin`` up to, not including, ``end``."""
    if log == ACCESS:
        rows = select(AccessRow).where(AccessRow.incarnation == incarnation, AccessRow.log_index >= begin)
        rows = rows if end is None else rows.where(AccessRow.log_index < end)
        rows = rows.order_by(AccessRow.log_index, AccessRow.id).execution_options(yield_per=_FETCH_ROWS)
        for row in session.scalars(rows):
            value = merkle.leaf_hash(row.leaf)
            yield StoredLeaf(row.log_index or 0, value, value, f"access row {row.id}")
        return
    versions = select(RecordVersion).where(RecordVersion.incarnation == incarnation, RecordVersion.log_index >= begin)
    versions = versions if end is None else versions.where(RecordVersion.log_index < end)
    versions = versions.order_by(RecordVersion.log_index).execution_options(yield_per=_FETCH_ROWS)
    for version in session.scalars(versions):
        name = f"record {version.record} version {version.version}"
        yield StoredLeaf(version.log_index or 0, merkle.leaf_hash(version.leaf), version.leaf_hash, name)


def verify_window(session: Session, msp_id: str, log: str, incarnation: int, begin: int) -> int:
    """Verify the leaves from ``begin`` on, at most a window of them; return how many there were.

    Args:
        msp_id: the hospital's own, whose anchored heads are compared.
        begin: a multiple of :data:`WINDOW_LEAVES`.

    Raises:
        Tampered: a leaf, a hash or a head does not fit; ``place`` names log, index and row.
    """
    stored = Log(session, log, incarnation)
    end = min(begin + WINDOW_LEAVES, stored.size)
    heads = _anchored(session, msp_id, log, incarnation, begin, end)
    known: dict[Place, bytes] = {}

    def read(level: int, position: int) -> bytes:
        place = (level, position)
        return known[place] if place in known else stored.read(level, position)

    index = begin
    for leaf in stored_leaves(session, log, incarnation, begin, end):
        if leaf.index != index:
            break
        if leaf.computed != leaf.kept:
            raise _tampered("altered-leaf", log, incarnation, index, leaf.row)
        for level, position, value in merkle.completed_subtrees(index, leaf.computed, read):
            if stored.read(level, position) != value:
                raise _tampered("log-node", log, incarnation, index, leaf.row)
            known[level, position] = value
        index += 1
        if index in heads and merkle.root(index, read) != heads[index]:
            raise _tampered("root", log, incarnation, index - 1, leaf.row)
    if index != max(begin, end):
        raise _tampered("missing-leaf", log, incarnation, index, "")
    return index - begin


def _anchored(session: Session, msp_id: str, log: str, incarnation: int, begin: int, end: int) -> dict[int, bytes]:
    query = select(AnchoredHead.size, AnchoredHead.root).filter_by(msp_id=msp_id, log=log, incarnation=incarnation)
    found = session.execute(query.where(AnchoredHead.size > begin, AnchoredHead.size <= end))
    return {row.size: row.root for row in found}


def _tampered(reason: str, log: str, incarnation: int, index: int, row: str) -> Tampered:
    place = f"{log}/{incarnation} leaf {index} {row}".rstrip()
    return Tampered("the hospital's own log does not fit its rows", reason=reason, place=place)
