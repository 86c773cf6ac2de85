"""Re-execution of the contract: a committed write is a claim of its endorsers until it comes out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from network.blocks.proposal import ChaincodeEvent, Response
from network.blocks.rwset import Read, Version, Write
from network.blocks.transaction import Transaction


class StateView(Protocol):
    """The world state just before a transaction in block order.

    A transaction that is valid read the same versions when it was endorsed, so it must give the same result here.
    """

    def get(self, namespace: str, key: str) -> bytes | None: ...

    def version(self, namespace: str, key: str) -> Version | None: ...

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]: ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the contract did: writes in its own namespace, its event and answer, and the single keys it read."""

    writes: tuple[Write, ...]
    response: Response
    event: ChaincodeEvent | None = None
    reads: tuple[Read, ...] = ()


class ContractReplay(Protocol):
    """Runs the contract version that the definition's ``sequence`` selects."""

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Replayed | None:
        """Executes again, or returns ``None`` for a chaincode that is not ours."""
        ...


def difference(transaction: Transaction, replayed: Replayed) -> str:
    """Names the first thing that differs between the committed and the replayed result; empty if nothing does."""
    own = next((item for item in transaction.rwsets if item.namespace == transaction.chaincode), None)
    writes = own.writes if own is not None else ()
    reads = own.reads if own is not None else ()
    if {write.key: write.value for write in writes} != {write.key: write.value for write in replayed.writes}:
        return "write set"
    if {read.key: read.version for read in reads} != {read.key: read.version for read in replayed.reads}:
        return "read set"
    if any(item.has_writes for item in transaction.rwsets if item.namespace != transaction.chaincode):
        return "writes outside the contract"
    if own is not None and any(item.writes for item in own.collections):
        return "private writes"
    if transaction.event != replayed.event:
        return "event"
    return "" if transaction.response == replayed.response else "response"
