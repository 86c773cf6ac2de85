"""What the ledger itself says about the hospital's logs now: the projection lies in the same database as the rows."""

from __future__ import annotations

from domain import wire
from domain.checks import check_integer
from domain.entries import Head
from domain.identifiers import decode_bytes
from domain.transactions import Opening
from node_service.context import Node
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
