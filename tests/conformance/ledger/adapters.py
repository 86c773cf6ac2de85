"""The adapters of the port ``Ledger`` under test, each with three hospitals and the contract of drawers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from domain import jcs
from domain.jcs import JsonObject, JsonValue
from domain.ports import CommittedTransaction, Ledger, TransactionStatus
from network.embedded.endorser import Endorsed, SignedProposal
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from tests.conformance.ledger.contracts import product_and_drawers

HOSPITALS = ("NorthMSP", "SouthMSP", "WestMSP")
ENDORSEMENTS_REQUIRED = 2
DECISION_TIMEOUT_S = 60


class StagedLedger(Ledger, Protocol):
    """A ledger whose submission can be stopped between its stages."""

    def propose(self, name: str, arguments: bytes) -> SignedProposal: ...

    def endorse(self, signed: SignedProposal) -> Endorsed:
        """Signed by the peers of all three hospitals, in one order."""

    def assemble(self, endorsed: Endorsed) -> bytes: ...

    def broadcast(self, envelope: bytes) -> str:
        """Returns when the envelope is in a block of this hospital's peer."""

    def close(self) -> None: ...


class Network(Protocol):
    """A running network, perhaps with the blocks of other tests."""

    @property
    def kind(self) -> str:
        """The adapter's name."""

    @property
    def role_attributes(self) -> JsonObject:
        """The attributes in the certificates of the hospitals' nodes."""

    def ledger(self, msp_id: str) -> StagedLedger:
        """The channel as one hospital sees it."""

    def commit_together(self, envelopes: Sequence[bytes]) -> list[int]:
        """Orders these envelopes in this order, in one block where time allows; returns when every peer has them.

        Returns:
            How many of them are in each block.
        """

    def level(self) -> None:
        """Waits until every hospital's peer has what any of them has."""


class SettableClock:
    """Real time, moved by the test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class EmbeddedNetwork:
    """The embedded ledger, opened once per hospital as their node processes do."""

    kind = "embedded"
    role_attributes: JsonObject = {"yilian.role": "node"}  # noqa: RUF012 - never changed

    def __init__(self, directory: Path, stack: ExitStack, channel: str) -> None:
        self.directory = directory
        self.clock = SettableClock()
        self._stack = stack
        init(directory, channel, HOSPITALS, clock=self.clock, random=os.urandom)

    def ledger(self, msp_id: str, role: str = "node") -> EmbeddedLedger:
        ledger = EmbeddedLedger(self.directory, msp_id, self.clock, os.urandom, contract=product_and_drawers, role=role)
        return self._stack.enter_context(ledger)

    def commit_together(self, envelopes: Sequence[bytes]) -> list[int]:
        self.ledger(HOSPITALS[0]).committer.commit(envelopes)
        return [len(envelopes)]

    def level(self) -> None:
        """They are: all stand on one file."""


@contextmanager
def embedded(directory: Path, channel: str = "care") -> Iterator[EmbeddedNetwork]:
    """A fresh embedded network."""
    with ExitStack() as stack:
        yield EmbeddedNetwork(directory, stack, channel)


class Cabinet:
    """A test's own part of a ledger: the drawers in one cabinet, and the blocks since the test began."""

    def __init__(self, ledger: Ledger, name: str = "") -> None:
        self.name = name or os.urandom(6).hex()
        self.start = ledger.height()

    def arguments(self, **given: JsonValue) -> bytes:
        """Argument bytes of a transaction in this cabinet."""
        return jcs.canonical({"cabinet": self.name, **given})

    def evaluate(self, ledger: Ledger, name: str, **given: JsonValue) -> JsonValue:
        """A query in this cabinet."""
        return ledger.evaluate(name, {"cabinet": self.name, **given})

    def transactions(self, ledger: Ledger) -> list[CommittedTransaction]:
        """This cabinet's transactions, in the order of the ledger."""
        blocks = ledger.blocks(self.start)
        return [item for block in blocks for item in block.transactions if self.name.encode() in item.arguments]

    def state(self, ledger: Ledger) -> dict[str, bytes]:
        """What the valid transactions leave, key by key."""
        found: dict[str, bytes] = {}
        for item in self.transactions(ledger):
            for write in item.writes:
                found.pop(write.key, None)
                if write.value is not None:
                    found[write.key] = write.value
        return found

    def codes(self, ledger: Ledger) -> list[str]:
        """Their validation codes."""
        return [item.code for item in self.transactions(ledger)]


def decided(ledger: Ledger, tx_id: str) -> TransactionStatus:
    """The decision about a broadcast transaction; waits for it at most ten seconds."""
    while True:
        height = ledger.height()
        status = ledger.status(tx_id)
        if status is not None:
            return status
        assert ledger.wait_for_block(height, timeout_s=DECISION_TIMEOUT_S), "no block came"
