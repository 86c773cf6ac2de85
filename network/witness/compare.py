"""Comparing witnesses: are all shown one ledger? Where not, a proof that convinces everybody else.

Anybody may do it, and the more do, the sooner a split view is found: a ledger that is forked for one hospital must stay
forked for it for ever, and each comparison with any other member's witness shows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain import merkle
from domain.checkpoints import SignedNote, origin_of, verify_note
from domain.errors import Tampered, YilianError
from domain.forks import Fork, fork_of, verify_fork
from domain.receipts import Members


class Asked(Protocol):
    """A witness that can be asked (:class:`network.witness.client.WitnessClient`)."""

    url: str

    def note(self, size: int | None = None) -> SignedNote: ...

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A witness's latest checkpoint, signed by a member."""

    url: str
    signers: tuple[str, ...]
    note: SignedNote


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing found.

    Attributes:
        heard: the witnesses that answered, smallest log first.
        silent: address and reason of those that did not, or whose answer does not verify.
        unproven: pairs of addresses whose consistency could not be checked, with the reason.
        fork: the first proven fork.
    """

    heard: tuple[Heard, ...]
    silent: tuple[tuple[str, str], ...]
    unproven: tuple[tuple[str, str, str], ...]
    fork: Fork | None

    @property
    def agrees(self) -> bool:
        """True if all who were asked answered and have one log."""
        return not self.silent and not self.unproven and self.fork is None


def compare(witnesses: Sequence[Asked], members: Members) -> Comparison:
    """Ask all witnesses, and check that each log continues the next smaller one."""
    heard: list[tuple[Heard, Asked]] = []
    silent: list[tuple[str, str]] = []
    for witness in witnesses:
        try:
            heard.append((_hear(witness, members), witness))
        except YilianError as error:
            silent.append((witness.url, error.reason))
    heard.sort(key=lambda item: item[0].note.checkpoint.size)
    unproven: list[tuple[str, str, str]] = []
    fork: Fork | None = None
    for (smaller, _), (larger, witness) in itertools.pairwise(heard):
        try:
            fork = fork or _fork(smaller.note, larger.note, witness, members)
        except YilianError as error:
            unproven.append((smaller.url, larger.url, error.reason))
    return Comparison(tuple(item for item, _ in heard), tuple(silent), tuple(unproven), fork)


def _hear(witness: Asked, members: Members) -> Heard:
    note = witness.note()
    return Heard(witness.url, _signers(note, members), note)


def _signers(note: SignedNote, members: Members) -> tuple[str, ...]:
    if note.checkpoint.origin != origin_of(members.channel):
        raise Tampered("the checkpoint is of another channel", reason="channel")
    signers = verify_note(note, members.keys)
    if not signers:
        raise Tampered("the checkpoint is not signed by a member's witness", reason="signature")
    return signers


def _fork(smaller: SignedNote, larger: SignedNote, witness: Asked, members: Members) -> Fork | None:
    """A proven fork between two checkpoints, None if they agree.

    The larger one's witness names its root at the smaller size, and a consistency proof that holds shows that its
    signed checkpoint means that root: nothing that it says later takes that back.

    Raises:
        Tampered: it shows neither agreement nor a fork.
    """
    first, second = smaller.checkpoint, larger.checkpoint
    if first.size == second.size:
        return None if first.root == second.root else _proven(fork_of(smaller, larger), members)
    proof = witness.consistency(first.size, second.size)
    own = witness.note(first.size)
    _signers(own, members)
    root = own.checkpoint.root
    merkle.verify_consistency(first.size, root, second.size, second.root, proof)
    if own.checkpoint.size != first.size:
        raise Tampered("the witness gave a checkpoint of another size", reason="checkpoint")
    return None if root == first.root else _proven(fork_of(smaller, larger, root, proof), members)


def _proven(fork: Fork, members: Members) -> Fork:
    verify_fork(fork, members)
    return fork
