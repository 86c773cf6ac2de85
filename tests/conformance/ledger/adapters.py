"""The adapters of the port ``Ledger`` under test, each with three hospitals and the contract of drawers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from domain.ports import Ledger, TransactionStatus
from network.embedded.endorser import Endorsed, SignedProposal
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from tests.conformance.ledger.drawers import drawers

HOSPITALS = ("NorthMSP", "SouthMSP", "WestMSP")
ENDORSEMENTS_REQUIRED = 2


class StagedLedger(Ledger, Protocol):
    """A ledger whose submission can be stopped between its stages."""

    def propose(self, name: str, arguments: bytes) -> SignedProposal: ...

    def endorse(self, signed: SignedProposal) -> Endorsed: ...

    def assemble(self, endorsed: Endorsed) -> bytes: ...

    def broadcast(self, envelope: bytes) -> str: ...


class Network(Protocol):
    """A running network."""

    def ledger(self, msp_id: str) -> StagedLedger:
        """The channel as one hospital sees it."""

    def commit_together(self, envelopes: Sequence[bytes]) -> None:
        """Orders these envelopes into one block."""


class SettableClock:
    """Real time, moved by the test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class EmbeddedNetwork:
    """The embedded ledger, opened once per hospital as their node processes do."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.clock = SettableClock()
        self._stack = stack
        init(directory, "care", HOSPITALS, clock=self.clock, random=os.urandom)

    def ledger(self, msp_id: str, role: str = "node") -> EmbeddedLedger:
        ledger = EmbeddedLedger(self.directory, msp_id, self.clock, os.urandom, contract=drawers, role=role)
        return self._stack.enter_context(ledger)

    def commit_together(self, envelopes: Sequence[bytes]) -> None:
        self.ledger(HOSPITALS[0]).committer.commit(envelopes)


@contextmanager
def embedded(directory: Path) -> Iterator[EmbeddedNetwork]:
    """A fresh embedded network."""
    with ExitStack() as stack:
        yield EmbeddedNetwork(directory, stack)


def decided(ledger: Ledger, tx_id: str) -> TransactionStatus:
    """The decision about a broadcast transaction; waits for it at most ten seconds."""
    height = 0
    while (status := ledger.status(tx_id)) is None:
        height = max(height, ledger.height())
        assert ledger.wait_for_block(height, timeout_s=10), "no block came"
    return status
