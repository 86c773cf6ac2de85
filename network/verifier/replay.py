"""Re-execution of the contract: a committed write is a claim of its endorsers until it comes out again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from network.blocks.proposal import Simulation
from network.blocks.rwset import NamespaceRwset, Version
from network.blocks.transaction import Transaction

UNKNOWN_CONTRACT = "unknown-contract"
"""Reason of an error that says: this verifier is too old, which is no tampering."""


class StateView(Protocol):
    """The world state just before a transaction in block order.

    A transaction that is valid read the same versions when it was endorsed, so it must give the same result here.
    """

    def get(self, namespace: str, key: str) -> bytes | None: ...

    def version(self, namespace: str, key: str) -> Version | None: ...

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]: ...


class ContractReplay(Protocol):
    """Runs the contract version that the definition's ``sequence`` selects."""

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Simulation | None:
        """Executes again and gives the one read-write set of the contract's namespace, its answer and event.

        ``sequence`` is 0 where the chaincode has no definition. Returns ``None`` for a chaincode that is not ours; such
        a transaction must not write our namespace, which raises.
        """
        ...


def difference(transaction: Transaction, replayed: Simulation) -> str:
    """Names the first thing that differs between the committed and the replayed result; empty if nothing does.

    Reads count too: an endorser who leaves one out evades the check for conflicts.
    """
    own = _own(transaction.rwsets, transaction.chaincode)
    again = _own(replayed.rwsets, transaction.chaincode)
    if {write.key: write.value for write in own.writes} != {write.key: write.value for write in again.writes}:
        return "write set"
    if {read.key: read.version for read in own.reads} != {read.key: read.version for read in again.reads}:
        return "read set"
    if set(own.range_queries) != set(again.range_queries):
        return "range read"
    if own.collections or any(item.has_writes for item in transaction.rwsets if item.namespace != own.namespace):
        return "namespace written"
    if transaction.event != replayed.event:
        return "event"
    return "" if transaction.response == replayed.response else "response"


def _own(rwsets: tuple[NamespaceRwset, ...], chaincode: str) -> NamespaceRwset:
    return next((item for item in rwsets if item.namespace == chaincode), NamespaceRwset(chaincode))
