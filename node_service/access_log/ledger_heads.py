"""What the ledger itself says about the hospital's logs now: the projection lies in the same database as the rows."""

from __future__ import annotations

from domain import wire
from domain.checks import check_integer
from domain.entries import Head
from domain.identifiers import decode_bytes
from node_service.context import Node
from node_service.logs.log import ACCESS, RECORDS


class LedgerHeads:
    """The last anchored heads by log and incarnation, and the count of opened keys beside the newest."""

    def __init__(self, node: Node) -> None:
        """Ask the ledger.

        Raises:
            Unavailable: it does not answer.
            Invalid: the answer is not one of the contract.
        """
        answer = node.ledger.evaluate("QueryLog", {"msp": node.msp_id})
        items = answer.get("items") if isinstance(answer, dict) else None
        self.heads: dict[tuple[str, int], tuple[int, bytes]] = {}
        newest = (0, 0)
        for item in items if isinstance(items, list) else []:
            fields = item if isinstance(item, dict) else {}
            incarnation = check_integer(fields.get("incarnation"), "incarnation", low=1)
            newest = max(newest, (incarnation, check_integer(fields.get("unwraps"), "unwraps")))
            for log in (RECORDS, ACCESS):
                head = wire.from_json(Head, fields.get(log), log)
                self.heads[log, incarnation] = (head.size, decode_bytes(head.root, "root"))
        self.incarnation, self.unwraps = newest
