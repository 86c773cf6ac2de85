"""Two witnesses that are shown different ledgers are found out, and the proof convinces everybody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.checkpoints import Checkpoint, SignedNote, sign_checkpoint
from domain.errors import Tampered, Unavailable
from domain.forks import Fork, fork_of, parse_fork, verify_fork
from domain.receipt_form import Members
from network.witness.compare import compare
from network.witness.folder import WitnessKey
from network.witness.witness import Witness
from tests.unit.network.witness.conftest import World, catch_up, witness_key


class Direct:
    """Asks a witness without a network between."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.url = witness.identity.msp

    def note(self, size: int | None = None) -> SignedNote:
        return self.witness.note(size)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return self.witness.consistency(old, new)


@pytest.fixture
def split(world: World) -> tuple[Direct, Direct]:
    """A is shown one ledger, B another, from block 5 on; B's is longer."""
    fork = world.fork()
    world.submit("AMSP", "https://one.example")
    for address in ("https://other.example", "https://third.example", "https://fourth.example"):
        world.submit("AMSP", address, ledger=fork)
    return Direct(world.followed("AMSP")), Direct(world.followed("BMSP", ledger=fork))


def test_witnesses_of_one_ledger_agree_whatever_their_sizes(world: World, members: Members) -> None:
    late = Direct(world.followed("AMSP"))
    world.submit("BMSP", "https://new.example")
    others = [Direct(world.followed(msp_id)) for msp_id in ("BMSP", "CMSP")]
    found = compare([*others, late], members)
    assert found.agrees
    assert [(heard.signers, heard.note.checkpoint.size) for heard in found.heard] == [
        (("AMSP",), 5), (("BMSP",), 6), (("CMSP",), 6)
    ]  # fmt: skip


def test_a_split_view_is_found_and_proven_to_a_third_party(split: tuple[Direct, Direct], members: Members) -> None:
    found = compare(split, members)
    assert not found.agrees
    assert found.fork is not None
    proven = verify_fork(parse_fork(found.fork.encode()), members)
    assert (proven.size, proven.first_signers, proven.second_signers) == (6, ("AMSP",), ("BMSP",))


def test_a_split_view_of_one_size_needs_the_two_notes_alone(split: tuple[Direct, Direct], members: Members) -> None:
    first, second = (one.note(6) for one in split)
    proven = verify_fork(parse_fork(fork_of(first, second).encode()), members)
    assert proven.size == 6


def test_what_both_saw_before_the_split_is_no_fork(split: tuple[Direct, Direct], members: Members) -> None:
    first, second = split
    with pytest.raises(Tampered, match="agree"):
        verify_fork(fork_of(first.note(5), second.note(5)), members)
    honest = fork_of(first.note(5), second.note(), second.note(5).checkpoint.root, second.consistency(5, 8))
    with pytest.raises(Tampered, match="agree"):
        verify_fork(honest, members)


def test_a_made_up_proof_frames_nobody(world: World, members: Members) -> None:
    """Two honest checkpoints, a root and a path that the accuser chose: nothing is proven by that."""
    witness = world.followed("AMSP")
    for size in range(1, 6):
        for root in (bytes(32), witness.note(1).checkpoint.root, witness.note(5).checkpoint.root):
            if root == witness.note(size).checkpoint.root:
                continue
            for proof in ((), (bytes(32),), witness.consistency(size, 5), witness.consistency(1, 5)):
                with pytest.raises(Tampered):
                    verify_fork(fork_of(witness.note(size), witness.note(5), root, proof), members)


def test_every_altered_part_of_a_fork_proof_is_refused(split: tuple[Direct, Direct], members: Members) -> None:
    fork = compare(split, members).fork
    assert fork is not None
    first, second = fork.first.checkpoint, fork.second.checkpoint
    stranger = WitnessKey(bytes(32))
    altered: list[Fork] = [
        replace(fork, root=bytes(32)),
        replace(fork, proof=()),
        replace(fork, proof=(*fork.proof, bytes(32))),
        replace(fork, first=fork.second, second=fork.first),
        replace(fork, channel="other"),
        replace(fork, first=replace(fork.first, checkpoint=replace(first, root=bytes(32)))),
        replace(fork, second=replace(fork.second, checkpoint=replace(second, size=second.size + 1))),
        replace(fork, first=sign_checkpoint(first, "DMSP", stranger.public, stranger.sign)),
        replace(fork, second=sign_checkpoint(second, "BMSP", stranger.public, stranger.sign)),
    ]
    for one in altered:
        with pytest.raises(Tampered):
            verify_fork(one, members)


def test_a_witness_that_shows_neither_agreement_nor_fork_is_named(
    split: tuple[Direct, Direct], members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = split
    monkeypatch.setattr(second, "consistency", lambda _old, _new: (bytes(32),))
    found = compare([first, second], members)
    assert (found.fork, found.agrees) == (None, False)
    assert found.unproven == (("AMSP", "BMSP", "consistency"),)


def test_a_silent_witness_and_a_stranger_are_named(world: World, members: Members) -> None:
    honest, stranger = Direct(world.followed("AMSP")), Direct(world.witness("BMSP", key=WitnessKey(bytes(32))))
    catch_up(stranger.witness)
    silent = Direct(world.witness("CMSP"))
    found = compare([honest, stranger, silent], members)
    assert found.silent == (("BMSP", "signature"), ("CMSP", "no-blocks"))
    assert [heard.url for heard in found.heard] == ["AMSP"]
    assert not found.agrees


def test_a_checkpoint_of_another_channel_is_not_heard(world: World, members: Members) -> None:
    class Elsewhere(Direct):
        def note(self, size: int | None = None) -> SignedNote:
            key = witness_key("AMSP")
            return sign_checkpoint(Checkpoint("yilian/other", 5, bytes(32)), "AMSP", key.public, key.sign)

    found = compare([Elsewhere(world.followed("AMSP"))], members)
    assert found.silent == (("AMSP", "channel"),)


def test_an_unreachable_second_look_is_said(
    split: tuple[Direct, Direct], members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_old: int, _new: int) -> tuple[bytes, ...]:
        raise Unavailable("no answer", reason="witness")

    monkeypatch.setattr(split[1], "consistency", down)
    assert compare(split, members).unproven == (("AMSP", "BMSP", "witness"),)
