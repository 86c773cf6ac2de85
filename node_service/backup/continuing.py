"""What the ledger knows of a hospital that its restored node does not."""

from __future__ import annotations

from dataclasses import dataclass

from node_service.access_log.ledger_heads import LedgerHeads
from node_service.context import Node
from node_service.logs.log import ACCESS, RECORDS, Log


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a restored node is behind its own anchored heads.

    Attributes:
        record_leaves, access_leaves: anchored leaves that the database does not hold; with any, the logs need a new
            incarnation.
        unwraps: the total of the custody log that the ledger saw last.
    """

    record_leaves: int
    access_leaves: int
    unwraps: int

    @property
    def needs_incarnation(self) -> bool:
        """True if the logs cannot go on where the ledger has them."""
        return self.record_leaves > 0 or self.access_leaves > 0


def behind_ledger(node: Node) -> Behind:
    """Compare the logs with the heads on the ledger.

    Raises:
        Unavailable: ledger or database.
        Invalid: the ledger's answer is not one of the contract.
    """
    ledger = LedgerHeads(node)
    with node.database.reading() as session:
        records, access = (
            max(
                0, ledger.heads.get((log, ledger.incarnation), (0, b""))[0] - Log(session, log, ledger.incarnation).size
            )
            for log in (RECORDS, ACCESS)
        )
    return Behind(records, access, ledger.unwraps)
