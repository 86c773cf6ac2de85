"""Checks the hospital's own logs: every row against its hash, every hash against the tree, every anchored head.

A row that was altered, removed, added or moved after it was integrated is named; so is a leaf whose hash no longer
fits. What lies behind the last anchored head can only be compared with the database itself, and the report says so.
The last head, and the last one that a restore left whole, are taken from the ledger: the projection is in the database.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import merkle
from node_service.access_log.ledger_heads import LedgerHeads, held_head
from node_service.context import Node
from node_service.database.models import AnchoredHead, LogNode, LogSize
from node_service.logs.scrub import stored_leaves


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that does not fit in one log.

    Attributes:
        reason: ``missing-leaf``, ``altered-leaf``, ``log-node``, ``log-size``, ``root``.
        index: position in the log.
        row: ``access row 17`` or ``record <id> version 2``; empty where no row can be named.
    """

    log: str
    incarnation: int
    reason: str
    index: int
    row: str = ""


@dataclass(frozen=True, slots=True)
class LogReport:
    """One log: how many leaves were compared, and up to which size the ledger vouches for them.

    Attributes:
        lost: anchored leaves that a restore lost, as the opening of the next incarnation says on the ledger.
    """

    log: str
    incarnation: int
    size: int
    anchored_size: int
    finding: Finding | None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """All logs of the hospital."""

    logs: tuple[LogReport, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What does not fit; empty if all is well."""
        return tuple(log.finding for log in self.logs if log.finding is not None)


def check(node: Node) -> Report:
    """Recompute both logs of every incarnation from their rows.

    Raises:
        Unavailable: the database or the ledger cannot be read.
        Tampered: a block of the ledger does not verify.
    """
    ledger = LedgerHeads(node)
    with node.database.reading() as session:
        places = _logs(node, session)
        return Report(tuple(_check_log(node, session, log, incarnation, ledger) for log, incarnation in places))


def _logs(node: Node, session: Session) -> list[tuple[str, int]]:
    """Every log that the database or the ledger knows of: one whose size row was removed is checked all the same."""
    kept = {(row.log, row.incarnation) for row in session.execute(select(LogSize.log, LogSize.incarnation))}
    anchored = session.execute(
        select(AnchoredHead.log, AnchoredHead.incarnation).where(AnchoredHead.msp_id == node.msp_id).distinct()
    )
    return sorted({*kept, *((row.log, row.incarnation) for row in anchored)})


def _check_log(node: Node, session: Session, log: str, incarnation: int, ledger: LedgerHeads) -> LogReport:
    heads = _anchored(node, session, log, incarnation)
    heads.update([ledger.heads[log, incarnation]] if (log, incarnation) in ledger.heads else [])
    anchored = max(heads, default=0)
    held = ledger.given_up.get((log, incarnation), anchored)
    heads.update([held_head(node, session, log, incarnation, held)] if held < anchored else [])
    stored = session.get(LogSize, (log, incarnation))
    tree = merkle.MemoryTree()
    finding = _compare_leaves(session, log, incarnation, heads, tree)
    size = 0 if stored is None else stored.size
    if finding is None and tree.size < max(size, held):
        finding = Finding(log, incarnation, "missing-leaf", tree.size)
    elif finding is None and tree.size != size:
        finding = Finding(log, incarnation, "log-size", size)
    return LogReport(log, incarnation, tree.size, anchored, finding, anchored - held)


def _compare_leaves(
    session: Session, log: str, incarnation: int, heads: dict[int, bytes], tree: merkle.MemoryTree
) -> Finding | None:
    """Rebuild the tree leaf by leaf; the database's nodes and the ledger's heads must agree all the way."""
    nodes = _nodes(session, log, incarnation)
    for leaf in stored_leaves(session, log, incarnation):
        at = Finding(log, incarnation, "missing-leaf", tree.size)
        if leaf.index != tree.size:
            return at
        if leaf.computed != leaf.kept or nodes.get((0, leaf.index)) != leaf.computed:
            return Finding(log, incarnation, "altered-leaf", leaf.index, leaf.row)
        for level, position, value in merkle.completed_subtrees(leaf.index, leaf.computed, tree.read):
            if nodes.get((level, position)) != value:
                return Finding(log, incarnation, "log-node", leaf.index, leaf.row)
        tree.append(leaf.computed)
        expected = heads.get(tree.size)
        if expected is not None and tree.root() != expected:
            return Finding(log, incarnation, "root", leaf.index, _first_unvouched(heads, tree.size))
    return None


def _first_unvouched(heads: dict[int, bytes], size: int) -> str:
    before = max((other for other in heads if other < size), default=0)
    return f"a row between {before} and {size - 1}"


def _nodes(session: Session, log: str, incarnation: int) -> dict[tuple[int, int], bytes]:
    query = select(LogNode.level, LogNode.position, LogNode.hash).filter_by(log=log, incarnation=incarnation)
    return {(row.level, row.position): row.hash for row in session.execute(query)}


def _anchored(node: Node, session: Session, log: str, incarnation: int) -> dict[int, bytes]:
    query = select(AnchoredHead.size, AnchoredHead.root).filter_by(msp_id=node.msp_id, log=log, incarnation=incarnation)
    return {row.size: row.root for row in session.execute(query)}
