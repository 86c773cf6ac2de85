"""Fork proofs: what joins two checkpoints proves that they are of two logs, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import merkle
from domain.checkpoints import Checkpoint, SignedNote, sign_checkpoint
from domain.errors import Invalid, Tampered
from domain.forks import MAX_FORK_BYTES, Fork, VerifiedFork, fork_of, parse_fork, verify_fork
from domain.identifiers import encode_bytes
from domain.receipt_form import Member, Members

CHANNEL = "channel"
KEYS = {name: Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed, name in enumerate(("A", "B", "M"))}


def public(name: str) -> bytes:
    return KEYS[name].public_key().public_bytes_raw()


MEMBERS = Members(CHANNEL, "fabric", tuple(Member(name, (encode_bytes(public(name)),)) for name in ("A", "B")))


def log(name: str, size: int) -> merkle.MemoryTree:
    """A log whose third entry differs with its name."""
    return merkle.MemoryTree(
        merkle.leaf_hash(f"{index} {name if index == 2 else ''}".encode()) for index in range(size)
    )


def note(signer: str, tree: merkle.MemoryTree, size: int, channel: str = CHANNEL) -> SignedNote:
    checkpoint = Checkpoint(f"yilian/{channel}", size, tree.root(size))
    return sign_checkpoint(checkpoint, signer, public(signer), KEYS[signer].sign)


def a_fork(first: int = 5, second: int = 8, *, signers: str = "AB") -> Fork:
    one, two = log("one", first), log("two", second)
    proof = tuple(merkle.consistency_proof(first, second, two.read))
    return fork_of(note(signers[0], one, first), note(signers[1], two, second), two.root(first), proof)


@pytest.mark.parametrize(("first", "second"), [(3, 3), (3, 4), (5, 8), (8, 9)])
def test_two_logs_are_proven_to_be_two(first: int, second: int) -> None:
    fork = parse_fork(a_fork(first, second).encode())
    assert fork == a_fork(first, second)
    assert verify_fork(fork, MEMBERS) == VerifiedFork(first, ("A",), ("B",))


def test_notes_of_one_size_need_no_path() -> None:
    fork = fork_of(note("A", log("one", 5), 5), note("B", log("two", 5), 5))
    assert (fork.channel, fork.root, fork.proof) == (CHANNEL, log("two", 5).root(), ())
    assert verify_fork(fork, MEMBERS).second_signers == ("B",)


@pytest.mark.parametrize(
    ("change", "reason", "place"),
    [
        (lambda fork: replace(fork, channel="other"), "channel", "channel"),
        (lambda fork: replace(fork, first=note("A", log("one", 5), 5, "other")), "channel", "channel"),
        (lambda fork: replace(fork, second=note("B", log("two", 8), 8, "other")), "channel", "channel"),
        (lambda fork: replace(fork, root=fork.first.checkpoint.root), "no-fork", "root"),
        (lambda fork: replace(fork, first=note("M", log("one", 5), 5)), "signature", "notes"),
        (lambda fork: replace(fork, second=note("M", log("two", 8), 8)), "signature", "notes"),
        (lambda fork: replace(fork, root=bytes(32)), "consistency", ""),
        (lambda fork: replace(fork, proof=()), "consistency", ""),
        (lambda fork: replace(fork, first=fork.second, second=fork.first), "consistency", ""),
    ],
)
def test_what_proves_no_fork_is_refused_with_its_reason(
    change: Callable[[Fork], Fork], reason: str, place: str
) -> None:
    with pytest.raises(Tampered) as refused:
        verify_fork(change(a_fork()), MEMBERS)
    assert (refused.value.reason, refused.value.place) == (reason, place)


def test_a_forged_signature_is_no_signature_of_a_member() -> None:
    fork = a_fork()
    (line,) = fork.first.signatures
    forged = SignedNote(fork.first.checkpoint, (replace(line, signature=KEYS["A"].sign(b"another checkpoint")),))
    with pytest.raises(Tampered) as refused:
        verify_fork(replace(fork, first=forged), MEMBERS)
    assert refused.value.reason == "signature"


def altered(**changes: Any) -> bytes:
    fields = {**json.loads(a_fork().encode()), **changes}
    text = {name: value for name, value in fields.items() if value is not ...}
    return json.dumps(text, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"v": 2}, "v"),
        ({"v": ...}, "v"),
        ({"type": "receipt"}, "type"),
        ({"type": ...}, "type"),
        ({"more": 1}, "fork"),
        ({"root": ...}, "fork"),
        ({"channel": ""}, "channel"),
        ({"channel": "c" * 250}, "channel"),
        ({"notes": ["x"]}, "notes"),
        ({"notes": ["x"] * 3}, "notes"),
        ({"notes": [1, 2]}, "notes"),
        ({"root": 1}, "root"),
        ({"root": encode_bytes(bytes(31))}, "root"),
        ({"proof": 1}, "proof"),
        ({"proof": [encode_bytes(bytes(31))]}, "proof"),
        ({"proof": [encode_bytes(bytes(32))] * 129}, "proof"),
    ],
)
def test_a_fork_proof_of_another_form_is_refused_at_its_field(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_fork(altered(**changes))
    assert refused.value.place == place


def test_a_fork_proof_has_bounds() -> None:
    assert len(parse_fork(altered(channel="c" * 249, proof=[encode_bytes(bytes(32))] * 128)).proof) == 128
    with pytest.raises(Invalid) as refused:
        parse_fork(b" " * (MAX_FORK_BYTES + 1))
    assert refused.value.reason == "too-large"
