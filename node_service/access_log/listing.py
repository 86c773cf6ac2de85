"""What a patient sees of the access log: every row about them, with its path to an anchored head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import Invalid
from domain.identifiers import encode_bytes
from node_service.access_log.rows import reader_message
from node_service.client import wire
from node_service.context import Node
from node_service.database.models import AccessRow
from node_service.ledger_sync import projection
from node_service.logs.log import ACCESS, Log
from node_service.sharing.sealed_messages import to_wire

PAGE: Final = 200


def accesses_of(node: Node, patient: str, after: str | None = None) -> wire.AccessPage:
    """The rows about a patient, oldest first; no other row shows.

    Args:
        after: ``next`` of the page before.

    Raises:
        Invalid: no such page.
        Tampered: a row's sealed reader was altered.
    """
    with node.database.reading() as session:
        query = select(AccessRow).where(AccessRow.patient == patient, AccessRow.id > position(after))
        rows = session.scalars(query.order_by(AccessRow.id).limit(PAGE + 1)).all()
        shown = rows[:PAGE]
        paths = _paths(node, session, shown)
        items = [_entry(node, session, row, paths.get(row.id)) for row in shown]
    return wire.AccessPage(items=items, next=str(shown[-1].id) if len(rows) > PAGE else None)


def position(after: str | None) -> int:
    """The id of the row after which a page begins.

    Raises:
        Invalid: no page ends there.
    """
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise Invalid("there is no such page", place="after")
    return int(after)


def _entry(node: Node, session: Session, row: AccessRow, path: wire.Path | None) -> wire.AccessEntry:
    reader = reader_message(node, session, row)
    return wire.AccessEntry(leaf=encode_bytes(row.leaf), path=path, reader=None if reader is None else to_wire(reader))


def _paths(node: Node, session: Session, rows: Sequence[AccessRow]) -> dict[int, wire.Path]:
    """Paths to the first anchored head that covers each row; rows that none covers yet have no path."""
    grouped: dict[tuple[int, int], list[AccessRow]] = defaultdict(list)
    for row in rows:
        if row.incarnation is None or row.log_index is None:
            continue
        head = projection.covering_head(session, node.msp_id, row.incarnation, ACCESS, row.log_index)
        if head is not None:
            grouped[row.incarnation, head.size].append(row)
    paths: dict[int, wire.Path] = {}
    for (incarnation, size), members in grouped.items():
        indices = [row.log_index or 0 for row in members]
        proofs = Log(session, ACCESS, incarnation).inclusions(indices, size)
        for row, index, proof in zip(members, indices, proofs, strict=True):
            hashes = [encode_bytes(item) for item in proof]
            paths[row.id] = wire.Path(incarnation=incarnation, index=index, size=size, hashes=hashes)
    return paths
