"""What the hospital's own auditor asks of its logs: heads, proofs that one continues the other, rows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import merkle
from domain.errors import Invalid, NotFound
from domain.identifiers import encode_bytes
from node_service.access_log.ledger_heads import LedgerHeads
from node_service.access_log.rows import Entry, record_alone
from node_service.client import audit_wire
from node_service.context import Node
from node_service.database.models import AccessRow, LogSize
from node_service.logs.log import ACCESS, RECORDS, Log

PAGE: Final = 1_000
_LOGS: Final[tuple[audit_wire.LogName, ...]] = (RECORDS, ACCESS)


def heads(node: Node) -> audit_wire.LogHeads:
    """The present heads of all incarnations, beside those that the ledger has now.

    Raises:
        Tampered: the database has lost hashes of a log.
        Unavailable: database, ledger or custody.
    """
    ledger = LedgerHeads(node).heads
    with node.database.reading() as session:
        incarnations = set(session.scalars(select(LogSize.incarnation))) | {key[1] for key in ledger}
        items = [_head(session, log, number, ledger) for number in sorted(incarnations) for log in _LOGS]
    return audit_wire.LogHeads(msp_id=node.msp_id, items=items, unwraps=node.custody.count().released)


def consistency(
    node: Node, name: audit_wire.LogName, incarnation: int, old_size: int, new_size: int
) -> audit_wire.LogConsistency:
    """The proof that a log of ``new_size`` leaves continues the one of ``old_size``.

    Raises:
        Invalid: the sizes are not in order.
        NotFound: the log is shorter than ``new_size``.
        Tampered: the database has lost hashes of the log.
    """
    if not 0 <= old_size <= new_size:
        raise Invalid("'from' is not beyond 'to'", place="from")
    with node.database.reading() as session:
        log = _log(session, name, incarnation, new_size)
        hashes = [encode_bytes(item) for item in log.consistency(old_size, new_size)]
    return audit_wire.LogConsistency(old_size=old_size, new_size=new_size, hashes=hashes)


def rows(node: Node, auditor: str, incarnation: int, start: int) -> audit_wire.LogRowPage:
    """A page of rows in the order of the log; that they were asked for is a row itself.

    Raises:
        Unavailable: the database; what cannot be logged is not answered.
    """
    record_alone(node, Entry("export", node.msp_id, auditor))
    query = select(AccessRow.log_index, AccessRow.leaf).where(
        AccessRow.incarnation == incarnation, AccessRow.log_index >= start, AccessRow.log_index < start + PAGE
    )
    with node.database.reading() as session:
        found = session.execute(query.order_by(AccessRow.log_index)).all()
        size = Log(session, ACCESS, incarnation).size
    items = [audit_wire.LogRow(index=row.log_index or 0, leaf=encode_bytes(row.leaf)) for row in found]
    return audit_wire.LogRowPage(items=items, next=start + PAGE if start + PAGE < size else None)


def _head(
    session: Session, name: audit_wire.LogName, incarnation: int, ledger: dict[tuple[str, int], tuple[int, bytes]]
) -> audit_wire.LogHead:
    log = Log(session, name, incarnation)
    anchored_size, anchored_root = ledger.get((name, incarnation), (0, merkle.empty_root()))
    return audit_wire.LogHead(
        log=name, incarnation=incarnation, size=log.size, root=encode_bytes(log.root()),
        anchored_size=anchored_size, anchored_root=encode_bytes(anchored_root),
    )  # fmt: skip


def _log(session: Session, name: str, incarnation: int, size: int) -> Log:
    log = Log(session, name, incarnation)
    if size > log.size:
        raise NotFound("the log is shorter", reason="log-behind", place="to")
    return log
