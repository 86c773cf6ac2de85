"""What the ledger itself says about the hospital's logs now: the projection lies in the same database as the rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain import entries, merkle, wire
from domain.checks import check_integer
from domain.entries import Head, LogEntry, incarnation_attribute
from domain.identifiers import decode_bytes
from domain.transactions import Opening
from node_service.context import Node
from node_service.database.models import AnchoredHead
from node_service.ledger_sync import projection
from node_service.logs.log import ACCESS, RECORDS


class LedgerHeads:
    """The last anchored heads by log and incarnation, and the count of opened keys beside the newest.

    Attributes:
        given_up: from which leaf on a former incarnation's leaves were lost, as the opening of the next one says, by
            log and incarnation; only where that is before the last head.
    """

    def __init__(self, node: Node) -> None:
        """Ask the ledger.

        Raises:
            Unavailable: it does not answer.
            Invalid: the answer is not one of the contract.
        """
        answer = node.ledger.evaluate("QueryLog", {"msp": node.msp_id})
        items = answer.get("items") if isinstance(answer, dict) else None
        self.heads: dict[tuple[str, int], tuple[int, bytes]] = {}
        self.given_up: dict[tuple[str, int], int] = {}
        openings, newest = dict[int, Opening](), (0, 0)
        for item in items if isinstance(items, list) else []:
            fields = item if isinstance(item, dict) else {}
            incarnation = check_integer(fields.get("incarnation"), "incarnation", low=1)
            if fields.get("opening") is not None:
                openings[incarnation - 1] = wire.from_json(Opening, fields["opening"], "opening")
            newest = max(newest, (incarnation, check_integer(fields.get("unwraps"), "unwraps")))
            for log in (RECORDS, ACCESS):
                head = wire.from_json(Head, fields.get(log), log)
                self.heads[log, incarnation] = (head.size, decode_bytes(head.root, "root"))
        self.incarnation, self.unwraps = newest
        for former, opening in openings.items():
            for log, held in ((RECORDS, opening.records_size), (ACCESS, opening.access_size)):
                if held < self.heads.get((log, former), (0, b""))[0]:
                    self.given_up[log, former] = held


def held_head(node: Node, session: Session, log: str, incarnation: int, held: int) -> tuple[int, bytes]:
    """Size and root of the last anchored head that covers at most ``held`` leaves, from the ledger's verified blocks.

    It vouches for what is left of an incarnation after a restore lost its last leaves. The projection only says where
    to begin to look; where it says something false, all blocks are read.

    Raises:
        Unavailable: the ledger does not answer.
        Tampered: a block does not verify.
    """
    query = select(func.max(AnchoredHead.block)).filter_by(msp_id=node.msp_id, log=log, incarnation=incarnation)
    told = session.scalar(query.where(AnchoredHead.size <= held)) or 0
    for start in (told if told < node.ledger.height() else 0, 0):
        found = _last_head(node, start, log, incarnation, held)
        if found is not None:
            return found
    return 0, merkle.empty_root()


def _last_head(node: Node, start: int, log: str, incarnation: int, held: int) -> tuple[int, bytes] | None:
    """From block ``start`` up to the first head beyond ``held``; None where that comes first."""
    found: tuple[int, bytes] | None = None
    for head in _heads_from(node, start, log, incarnation):
        if head.size <= held:
            found = (head.size, decode_bytes(head.root, "root"))
        if head.size >= held:
            break
    return found


def _heads_from(node: Node, start: int, log: str, incarnation: int) -> Iterator[Head]:
    """What valid transactions wrote as the head of one log, in the order of the ledger."""
    attributes = (node.msp_id, incarnation_attribute(incarnation))
    key = projection.composite_key(entries.OBJECT_TYPE_OF[LogEntry], *attributes).decode()
    for block in node.ledger.blocks(start):
        for transaction in block.transactions:
            for write in transaction.writes if transaction.code == projection.VALID else ():
                if write.key == key and write.value is not None:
                    heads = entries.parse(LogEntry, write.value)
                    yield heads.records if log == RECORDS else heads.access
