"""Fork proofs: two checkpoints that cannot both be of one log (docs/formats/witness.md, "Fork proofs").

A proof that does not join two checkpoints proves nothing: anybody can make one up. So a fork proof shows by a
consistency proof that holds which root the second checkpoint's log had at the first one's size, and that it is another
root than the first checkpoint's. For two checkpoints of one size that root is the second's, and the path is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain import jcs, merkle
from domain.checkpoints import SignedNote, parse_note, verify_note
from domain.checks import check_integer, check_member, check_sequence, check_text
from domain.errors import Invalid, Tampered
from domain.identifiers import decode_bytes, encode_bytes
from domain.receipt_form import Members
from domain.transactions import MAX_PROOF_HASHES

VERSION: Final = 1
MAX_FORK_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork proof.

    Attributes:
        first, second: signed notes; the first is not the larger one.
        root: of the second's log at the first's size.
        proof: consistency proof from that root to the second checkpoint.
    """

    channel: str
    first: SignedNote
    second: SignedNote
    root: bytes
    proof: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The proof as it is kept and handed over."""
        notes = [self.first.text(), self.second.text()]
        proof = [encode_bytes(item) for item in self.proof]
        fields = {"channel": self.channel, "notes": notes, "root": encode_bytes(self.root), "proof": proof}
        return jcs.canonical({"v": VERSION, "type": "fork", **fields})


@dataclass(frozen=True, slots=True)
class VerifiedFork:
    """A fork that is proven: whoever signed both lied; else the network was shown two ledgers."""

    size: int
    first_signers: tuple[str, ...]
    second_signers: tuple[str, ...]


def fork_of(first: SignedNote, second: SignedNote, root: bytes | None = None, proof: tuple[bytes, ...] = ()) -> Fork:
    """A fork proof from two notes; ``root`` and ``proof`` where the second is larger than the first."""
    return Fork(first.checkpoint.channel, first, second, second.checkpoint.root if root is None else root, proof)


def parse_fork(encoded: bytes) -> Fork:
    """Read a fork proof; nothing is verified.

    Raises:
        Invalid: it is not of the form.
    """
    fields = jcs.parse_object(encoded, max_bytes=MAX_FORK_BYTES)
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    check_member(fields.pop("type", None), "type", ("fork",))
    if fields.keys() != {"channel", "notes", "root", "proof"}:
        raise Invalid("a fork proof has other fields", place="fork")
    channel = check_text(fields["channel"], "channel", max_characters=249)
    notes = check_sequence(fields["notes"], "notes", max_items=2, min_items=2)
    first, second = (parse_note(check_text(note, "notes", max_characters=MAX_FORK_BYTES)) for note in notes)
    root = decode_bytes(fields["root"], "root", length=merkle.HASH_BYTES)
    proof = check_sequence(fields["proof"], "proof", max_items=MAX_PROOF_HASHES)
    return Fork(channel, first, second, root, tuple(decode_bytes(x, "proof", length=merkle.HASH_BYTES) for x in proof))


def verify_fork(fork: Fork, members: Members) -> VerifiedFork:
    """Verify that two checkpoints, each signed by a member's witness, are of two different logs.

    Raises:
        Tampered: the proof does not hold.
    """
    first, second = fork.first.checkpoint, fork.second.checkpoint
    if {fork.channel, first.channel, second.channel} != {members.channel}:
        raise Tampered("the checkpoints are of another channel", reason="channel", place="channel")
    if fork.root == first.root:
        raise Tampered("the two checkpoints agree", reason="no-fork", place="root")
    merkle.verify_consistency(first.size, fork.root, second.size, second.root, fork.proof)
    signers = [verify_note(note, members.keys) for note in (fork.first, fork.second)]
    if not all(signers):
        raise Tampered("no member's witness signed one of the checkpoints", reason="signature", place="notes")
    return VerifiedFork(first.size, *signers)
