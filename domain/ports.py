"""What the use cases ask of the outside world. Structural, synchronous, small; adapters are chosen in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.jcs import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """What became of a transaction: its validation code's name (Fabric ``TxValidationCode``) and its block."""

    tx_id: str
    code: str
    block: int

    @property
    def valid(self) -> bool:
        """True if the network decided yes."""
        return self.code == "VALID"


@dataclass(frozen=True, slots=True)
class StateWrite:
    """One written key of the contract's namespace; ``value`` is None where the key was deleted."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class CommittedTransaction:
    """A transaction of the contract out of a verified block.

    Attributes:
        creator: MSP id from the creator's certificate, after its chain and signature over the envelope were verified.
        name, arguments: what was invoked; the argument bytes are those that were signed.
        writes: what it wrote, in order; empty unless valid.
        event: name and payload, if any.
    """

    tx_id: str
    code: str
    creator: str
    name: str
    arguments: bytes
    submitted_at: datetime
    writes: tuple[StateWrite, ...]
    event: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """A verified block, reduced to what concerns the contract."""

    number: int
    header_hash: bytes
    transactions: tuple[CommittedTransaction, ...]


class Ledger(Protocol):
    """The channel as one organisation sees it."""

    @property
    def channel(self) -> str:
        """The channel's name."""

    @property
    def msp_id(self) -> str:
        """The organisation that signs what is submitted here."""

    def submit(self, name: str, arguments: bytes) -> str:
        """Endorse and broadcast a transaction; return its id after broadcast. A commit is learnt from the blocks.

        Raises:
            Invalid, Denied, NotFound, Conflict: the contract's own answer; nothing was broadcast.
            Unavailable: nothing was broadcast.
            OutcomeUnknown: it may be in; ask :meth:`status`, then submit the same logical write again.
        """

    def evaluate(self, name: str, arguments: JsonObject) -> JsonValue:
        """Run a query of the contract on the own peer's state.

        Raises:
            Invalid, Denied, NotFound: the contract's own answer.
            Unavailable: the peer is down.
        """

    def status(self, tx_id: str) -> TransactionStatus | None:
        """What became of a transaction, or None while it is in no block.

        Raises:
            Unavailable: the peer is down.
        """

    def height(self) -> int:
        """The number of blocks of the channel, fresh.

        Raises:
            Unavailable: the peer is down.
        """

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """The verified blocks from ``start`` that exist now, in order; the iterator ends at the present height.

        Raises:
            Tampered: a block does not verify: stop and raise the alarm.
            Unavailable: the peer is down.
        """

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Block until the channel is higher than ``height`` or the time is over; True if it is."""


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What a store knows of a sealed object without opening it."""

    digest: str
    length: int


class Clock(Protocol):
    """The present moment, so that tests and the simulator can choose it."""

    def now(self) -> datetime:
        """The present moment in UTC."""


class RandomSource(Protocol):
    """Random bytes, so that the simulator can replay a run."""

    def __call__(self, count: int, /) -> bytes:
        """``count`` random bytes."""


class Notifier(Protocol):
    """Tells people that something happened; never carries patient data."""

    def notify(self, recipients: Sequence[str], event: str, references: Iterable[str]) -> None:
        """Queue a notice of ``event`` for the recipients (``patient:<id>``, ``role:<role>``)."""
