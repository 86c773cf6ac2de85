"""The witness: verifies its peer's blocks one after the other and signs what it saw, and nothing else.

Every block goes through the verifier of the channel, which executes the contract again. At a difference the witness
stops for good: it raises an alarm and signs nothing more. At each start everything is verified anew from genesis and
compared with the database, so that it never signs two roots of one size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain import merkle
from domain.checkpoints import Checkpoint, SignedNote, origin_of, sign_checkpoint
from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes, encode_bytes
from domain.instants import instant
from domain.signed_texts import SignedText
from domain.witness_answers import Answer, check_nonce, sign_answer
from domain.witness_log import Write, entry_of, parse_entry, parse_write_leaf, write_leaves, write_tree
from network.blocks.codes import ValidationCode
from network.verifier.chain import ChainVerifier
from network.verifier.replay import ContractReplay
from network.verifier.report import VerifiedBlock
from network.verifier.source import RawBlocks
from network.witness.database import WitnessDatabase, WitnessedBlock
from network.witness.folder import WitnessIdentity, WitnessKey

POLL: Final = timedelta(milliseconds=20)
MAX_BATCH_BLOCKS: Final = 256
MAX_BATCH_S: Final = 0.25
MAX_SILENCE_S: Final = 5.0
"""A witness that has not reached its peer for so long says so instead of vouching for an old height."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why a witness signs no more: the broken rule and the block."""

    reason: str
    place: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A text and the path that leads from it."""

    text: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class WritePlaced:
    """Where a write leaf stands in its block."""

    transaction: int
    index: int
    size: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Head:
    """How far a witness is: blocks, and header hash and validity of the last one."""

    size: int
    header: bytes
    validity: bytes


def elapsed_s() -> float:
    """Seconds that never go back, and go on while the machine sleeps: on waking, nothing old is vouched for."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Witness:
    """One witness of one channel. ``step`` is called by one thread, everything else by any.

    Args:
        source: the own peer's blocks.
        replay: executes the contract again.
        monotonic: as :func:`elapsed_s`.
    """

    def __init__(
        self,
        identity: WitnessIdentity,
        key: WitnessKey,
        source: RawBlocks,
        database: WitnessDatabase,
        replay: ContractReplay,
        *,
        monotonic: Callable[[], float] = elapsed_s,
    ) -> None:
        self.identity = identity
        self._key, self._source, self._database = key, source, database
        self._verifier = ChainVerifier(expected_genesis=bytes.fromhex(identity.genesis), replay=replay)
        self._monotonic = monotonic
        self._tree = merkle.MemoryTree()
        self._verified: list[WitnessedBlock] = []
        self._head = self._reached = _Head(0, b"", b"")
        self._alarm: Alarm | None = None
        self._heard_at = monotonic()
        self._level_at: float | None = None

    @property
    def size(self) -> int:
        """Blocks verified, kept, and compared with what was kept before."""
        return self._head.size

    @property
    def alarm(self) -> Alarm | None:
        """Why nothing is signed; None where all is well."""
        if self._alarm is None and self.size < self._database.size:
            return Alarm("behind", f"block {self.size}")
        return self._alarm

    def step(self, now: datetime) -> datetime:
        """Take in the blocks that are there, a bounded batch; return when the next call is due.

        Raises:
            Tampered, Invalid: a block does not verify or differs; the alarm stands from now on.
            Unavailable: peer or disk; call again.
        """
        if self._alarm is not None:
            return now + timedelta(hours=1)
        try:
            height = self._source.height()
            if height < self.size:
                raise Tampered("blocks that were there are gone", reason="shortened", place=f"block {height}")
            if height > self.size or self._verified:
                self._take(now)
        except (Tampered, Invalid) as error:
            self._alarm = Alarm(error.reason, error.place)
            raise
        except YilianError:
            raise
        except Exception:  # a verifier that failed half-way is of no further use
            self._alarm = Alarm("internal", f"block {self._verifier.height}")
            raise
        self._heard_at = self._monotonic()
        if self.size >= height:
            self._level_at = self._heard_at
        return now + (POLL if self.size >= height else timedelta())

    def wait(self, timeout_s: float) -> bool:
        """Wait until there may be something to do; True if there is a new block."""
        return self._source.wait_for_block(self.size, timeout_s)

    def answer(self, nonce: str) -> SignedText:
        """How far this witness has verified, signed over a fresh nonce.

        Raises:
            Invalid: no nonce.
            Unavailable: an alarm stands, the peer has been silent, or it has long had blocks that are not verified yet.
        """
        head, identity = self._signing_head(), self.identity
        if self._level_at is None or self._monotonic() - self._level_at > MAX_SILENCE_S:
            raise Unavailable("the witness has not verified yet what its peer has", reason="catching-up")
        answer = Answer(
            channel=identity.channel,
            msp=identity.msp,
            nonce=check_nonce(nonce),
            block=head.size - 1,
            header=encode_bytes(head.header),
            validity=encode_bytes(head.validity),
            checkpoint=self._checkpoint(head.size).body(),
        )
        return sign_answer(answer, self._key.sign)

    def note(self, size: int | None = None) -> SignedNote:
        """The signed checkpoint of a size, of the latest by default.

        Raises:
            NotFound: beyond what is verified.
            Unavailable: as :meth:`answer`.
        """
        verified = self._signing_head()
        wanted = verified.size if size is None else self._within(size)
        return sign_checkpoint(self._checkpoint(wanted), self.identity.msp, self._key.public, self._key.sign)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the log of one size is the beginning of the log of another.

        Raises:
            NotFound: no such sizes.
        """
        if not 1 <= old <= self._within(new):
            raise NotFound("there are no such sizes", reason="no-size")
        return tuple(merkle.consistency_proof(old, new, self._tree.read))

    def entry(self, number: int, size: int) -> Proof:
        """A block's entry and its inclusion in the log of a size.

        Raises:
            NotFound: no such block in that log.
            Tampered: the database was altered.
        """
        if not 0 <= number < self._within(size):
            raise NotFound("there is no such block in that log", reason="no-block")
        return Proof(self._entry(number), tuple(merkle.inclusion_proof(number, size, self._tree.read)))

    def write(self, number: int, tx_id: str, key: str) -> WritePlaced:
        """The place of a transaction's write of a key in a block.

        Raises:
            NotFound: no such write.
            Tampered: the database was altered.
        """
        if not 0 <= number < self.size:
            raise NotFound("there is no such block", reason="no-block")
        leaves = self._database.leaves(number)
        tree = write_tree(leaves)
        if tree.root() != decode_bytes(parse_entry(self._entry(number)).writes, "writes"):
            raise self._altered(number)
        for index, leaf in enumerate(leaves):
            place = parse_write_leaf(leaf)
            if (place.tx_id, place.key) == (tx_id, key):
                path = merkle.inclusion_proof(index, tree.size, tree.read)
                return WritePlaced(place.transaction, index, tree.size, tuple(path))
        raise NotFound("there is no such write in the block", reason="no-write")

    def _take(self, now: datetime) -> None:
        """Verify a batch, keep it, then let it be signed; what a failing disk did not keep is kept by the next call."""
        begun = self._monotonic()
        for raw in self._source.blocks(self._verifier.height):
            verified = self._verifier.add(raw)
            self._verified.append(self._compared(_witnessed(verified, self.identity.contract)))
            self._reached = _Head(verified.number + 1, verified.header_hash, verified.validity)
            if len(self._verified) >= MAX_BATCH_BLOCKS or self._monotonic() - begun > MAX_BATCH_S:
                break
        if not self._verified:
            return
        self._database.append([one for one in self._verified if one.number >= self._database.size], instant(now))
        for block in self._verified:
            self._tree.append(merkle.leaf_hash(block.entry))
        self._head = self._reached
        self._verified.clear()

    def _compared(self, block: WitnessedBlock) -> WitnessedBlock:
        if block.number >= self._database.size:
            return block
        kept = self._database.entry(block.number), tuple(self._database.leaves(block.number))
        if kept != (block.entry, block.leaves):
            detail = "the block is another one than was witnessed before"
            raise Tampered(detail, reason="witnessed-differently", place=f"block {block.number}")
        return block

    def _signing_head(self) -> _Head:
        alarm = self.alarm
        if alarm is not None:
            raise Unavailable(f"the witness signs nothing: {alarm.reason}", reason="alarm", place=alarm.place)
        if self._monotonic() - self._heard_at > MAX_SILENCE_S:
            raise Unavailable("the witness does not reach its peer", reason="silent-peer")
        if not self._head.size:
            raise Unavailable("the witness has no block yet", reason="no-blocks")
        return self._head

    def _checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin_of(self.identity.channel), size, merkle.root(size, self._tree.read))

    def _within(self, size: int) -> int:
        if not 1 <= size <= self.size:
            raise NotFound("the witness has not verified so many blocks", reason="no-size")
        return size

    def _entry(self, number: int) -> bytes:
        entry = self._database.entry(number)
        if entry is None or merkle.leaf_hash(entry) != self._tree.read(0, number):
            raise self._altered(number)
        return entry

    def _altered(self, number: int) -> Tampered:
        self._alarm = Alarm("database", f"block {number}")
        return Tampered("the witness's database was altered", reason="database", place=f"block {number}")


def _witnessed(block: VerifiedBlock, contract: str) -> WitnessedBlock:
    leaves = tuple(write_leaves(_writes(block, contract)))
    return WitnessedBlock(block.number, entry_of(block.number, block.header_hash, leaves, block.codes).encode(), leaves)


def _writes(block: VerifiedBlock, contract: str) -> list[Write]:
    return [
        Write(position, item.transaction.tx_id, write.key, write.value)
        for position, item in enumerate(block.transactions)
        if item.code == ValidationCode.VALID and item.transaction is not None
        for rwset in item.transaction.rwsets
        if rwset.namespace == contract
        for write in rwset.writes
    ]
