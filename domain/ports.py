"""What the use cases ask of the outside world. Structural, synchronous, small; adapters are chosen in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from domain.errors import Invalid
from domain.identifiers import check_code, check_identifier
from domain.instants import check_instant
from domain.jcs import JsonObject, JsonValue
from domain.signed_texts import SignedText

Sealed_contra = TypeVar("Sealed_contra", contravariant=True)
Passing_contra = TypeVar("Passing_contra", contravariant=True)
Opened_co = TypeVar("Opened_co", covariant=True)
Binding_contra = TypeVar("Binding_contra", contravariant=True)
Key = TypeVar("Key")
Wrapped = TypeVar("Wrapped")


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
    """A verified block, reduced to what concerns the contract.

    Attributes:
        valid: whether each transaction of the block is valid, also those of nobody's concern here.
        members: MSP ids of the channel's members after this block, by its configuration, in order.
    """

    number: int
    header_hash: bytes
    valid: tuple[bool, ...]
    transactions: tuple[CommittedTransaction, ...]
    members: tuple[str, ...]


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
        """What became of a transaction, or None while it is in no block; DUPLICATE_TXID where another one took its id.

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
class Voice:
    """What one voice says: so far the own projection has to be before anything is released.

    Attributes:
        block: the highest block that it has.
        header_hash: of that block; None where the own ledger itself was asked.
        validity: which transactions are valid up to that block (:mod:`domain.validity`); None as above.
        msp: whose voice it is.
        asked_s: when it was asked, by :meth:`Voices.now_s`.
        answer: its signed answer, which is kept as evidence if it contradicts the own projection.
    """

    block: int
    header_hash: bytes | None
    validity: bytes | None
    msp: str
    asked_s: float
    answer: SignedText | None = None


class Voices(Protocol):
    """Says how far the ledger is, better than the own peer alone, which may be cut off or lie."""

    async def ask(self, parties: frozenset[str]) -> Sequence[Voice]:
        """Who is heard now, the highest block first; one of them is no party to what is about to be released.

        Args:
            parties: custodian and requester; alone they may not decide what is fresh.

        Raises:
            Unavailable: no such voice was heard in time (``no-witness``), or the peer is down.
        """

    def now_s(self) -> float:
        """Seconds that never go back, and go on while the machine sleeps."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """An object that is durable in a store: its anchored digest and the length of the sealed object."""

    digest: str
    total_bytes: int


@dataclass(frozen=True, slots=True)
class StoreCopy:
    """How one medium of a store fares.

    Attributes:
        well: it answers now.
        owed_copies, owed_erasures: objects that it has to get or to lose, because it was down or damaged.
        erasing_since: since when the oldest of these erasures waits, by the node's clock; None: none does.
        healed: damaged or missing objects that it got back from another medium since the process began.
    """

    name: str
    well: bool
    owed_copies: int = 0
    owed_erasures: int = 0
    erasing_since: str | None = None
    healed: int = 0


@dataclass(frozen=True, slots=True)
class StoreReport:
    """How a store fares; ``needed`` of its media have to be well for it to take objects."""

    copies: tuple[StoreCopy, ...]
    needed: int = 1

    @property
    def ready(self) -> bool:
        """True if it takes objects."""
        return sum(copy.well for copy in self.copies) >= self.needed


class BlobStore(Protocol[Sealed_contra, Passing_contra, Opened_co]):
    """Keeps sealed objects by anchored digest; what it returns was verified against that digest.

    The types of the sealed format stand for the whole in memory, a stream and an object (behind
    a reader). Every method raises ``Unavailable`` where the medium fails, with nothing half done; every read raises
    ``NotFound`` for an unknown digest and ``Tampered`` for altered bytes.
    """

    def put(self, sealed: Sealed_contra | Passing_contra, *, digest: str | None = None) -> StoredBlob:
        """Store one object durably; an object that is there already is a success.

        Raises:
            Tampered: the object has not the ``digest`` that was expected; nothing is stored.
        """

    def put_many(self, sealed: Sequence[Sealed_contra]) -> Sequence[StoredBlob]:
        """Store many small objects with few waits for the medium; all are durable on return."""

    def get(self, digest: str) -> AbstractContextManager[Opened_co]:
        """Open an object: head and chunk list verified at once, each chunk as it is read."""

    def get_range(self, digest: str, offset: int, length: int) -> bytes:
        """A range of the sealed bytes, every chunk that it touches verified."""

    def exists(self, digest: str) -> bool:
        """True if the object is there; says nothing about its bytes."""

    def delete(self, digest: str) -> bool:
        """Remove an object; on return the medium holds nothing of it. False if there was none."""

    def delete_many(self, digests: Sequence[str]) -> int:
        """Remove objects with few waits for the medium; how many there were. After a failure it is called again."""

    def verify(self, digest: str) -> None:
        """Read and verify every byte of an object, of every copy where there are several."""

    def digests(self) -> Iterator[str]:
        """All digests, in no order; objects that come or go meanwhile may be missed."""

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        """Remove what nobody refers to and nobody put within 24 hours; return the digests."""

    def settle(self) -> bool:
        """Finish what waits for a medium that was down; true if something still waits."""

    def report(self) -> StoreReport:
        """Ask the media how they are; waits two seconds at most for each. Raises nothing."""

    def unfinished_erasures(self) -> Sequence[tuple[str, str]]:
        """Media where deleted objects may still lie, because they are down, each with the moment since when."""


@dataclass(frozen=True, slots=True)
class CustodyEntry:
    """Why wraps are opened: the access, request or job they are opened for; written to the custody log.

    Attributes:
        entry_id: the id under which the caller's own log knows the same event.
        purpose: a code such as ``release``, ``read``, ``rewrap``.
        evaluated: how many records the caller decided about; at least as many as it asks keys for.
        at: the caller's time.
    """

    entry_id: str
    purpose: str
    evaluated: int
    at: str

    def __post_init__(self) -> None:
        check_identifier(self.entry_id, "entryId")
        check_code(self.purpose, "purpose")
        check_instant(self.at, "at")
        if self.evaluated < 0:
            raise Invalid("a count is not negative", place="evaluated")


@dataclass(frozen=True, slots=True)
class NoKey:
    """No key for this wrap, though nothing was altered: the record was forgotten, or what opens it was never here."""

    reason: Literal["destroyed", "unknown-key"]


@dataclass(frozen=True, slots=True)
class CustodyCount:
    """Totals since the keyring began; they only grow."""

    entries: int
    evaluated: int
    released: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A record that custody has forgotten.

    Attributes:
        at: since when none of its wraps opens here.
        final_by: from when on no backup opens them either, at the latest: the time of the next re-keying.
        final_at: when that happened; None while it is awaited.
    """

    at: str
    final_by: str
    final_at: str | None


@dataclass(frozen=True, slots=True)
class CustodyRecord:
    """One entry as the custody log holds it: how many keys it released, and the totals up to and including it."""

    entry: CustodyEntry
    released: int
    total: CustodyCount


class KeyCustody(Protocol[Binding_contra, Key, Wrapped]):
    """Holds the custodian's keys. Every method raises ``Unavailable`` where keyring, store, log or replica fail.

    A wrap is sealed under the current custody key and a random secret of its record. The secrets lie in a store that
    can forget: outside database, log files and ordinary backups.
    """

    def prepare(self, records: Sequence[str]) -> None:
        """Make what the wraps of these records need, so that a later :meth:`wrap` waits for no medium.

        Raises:
            Conflict: a record among them was forgotten (``forgotten``); nothing is made.
        """

    def wrap(self, keys: Sequence[tuple[Binding_contra, Key]]) -> list[Wrapped]:
        """Wrap data keys, in order; what opens them again is durable, in the replica too.

        Raises:
            Conflict: a record among them was forgotten (``forgotten``); nothing is wrapped.
        """

    def forget(self, records: Sequence[str], at: str) -> Forgotten:
        """Forget the secrets of at most 1,000 records, durably and at once: their wraps are ``NoKey("destroyed")``.

        May be repeated; a record that was forgotten before keeps its time, one that has no secret never gets one.

        Returns:
            What holds for all of them: the earliest ``at``, the latest ``final_by``, ``final_at`` if all are final.
        """

    def forgotten(self, record: str) -> Forgotten | None:
        """What a certificate says about a record; None if it was not forgotten."""

    def unwrap_many(self, entry: CustodyEntry, wraps: Sequence[tuple[Binding_contra, Wrapped]]) -> list[Key | NoKey]:
        """Open at most 1,000 wraps, in order; one log entry is durable before any key is returned.

        Raises:
            Invalid: too many wraps, or more than the entry says were evaluated.
            Tampered: a wrap was altered or moved here from another row; no key is returned.
        """

    def rotate(self, at: str) -> str:
        """Begin a new current key and return its id; older ones still open their wraps."""

    def rekey(self, at: str) -> None:
        """Seal what is not forgotten under a new key and destroy the old one: what was forgotten is final."""

    def snapshot(self, folder: Path) -> None:
        """Bring a folder of backups to the present state of the record secrets; no key that opens it is in it."""

    def rekey_due(self) -> str:
        """When :meth:`rekey` is to be called next, at the latest."""

    def count(self) -> CustodyCount:
        """The totals of the custody log."""

    def history(self) -> Iterator[CustodyRecord]:
        """All entries of the custody log as it stands now, oldest first.

        Raises:
            Tampered: an entry cannot be read, or its totals do not follow from the one before; ``place`` names it.
        """


class Clock(Protocol):
    """The present moment, so that tests and the simulator can choose it."""

    def now(self) -> datetime:
        """The present moment in UTC."""


class RandomSource(Protocol):
    """Random bytes, so that the simulator can replay a run."""

    def __call__(self, count: int, /) -> bytes:
        """``count`` random bytes."""
