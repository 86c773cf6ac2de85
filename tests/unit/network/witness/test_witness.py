"""A witness signs what it verified, and nothing else, whatever its ledger, its database or its contract do."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain import merkle
from domain.checkpoints import merge, parse_body, verify_note
from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes, encode_bytes
from domain.receipt_form import Inclusion, Members, Proven, Receipt, WritePlace
from domain.receipts import verify_receipt
from domain.validity import BEFORE_GENESIS, validity_after
from domain.witness_answers import verify_answer
from domain.witness_log import parse_entry
from network.blocks.block import parse_block
from network.blocks.proposal import Simulation
from network.blocks.transaction import Transaction
from network.embedded.founding import init
from network.verifier.chain import ChainVerifier
from network.verifier.replay import ContractReplay, StateView
from network.verifier.source import RawBlocks
from network.witness.witness import MAX_SILENCE_S, Witness
from tests.unit.network.witness.conftest import CHANNEL, HOSPITALS, World, catch_up, witness_key
from yilian.contract_versions import contract_replayer

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NONCE = encode_bytes(bytes(range(32)))


def refusals(witness: Witness) -> list[str]:
    """The reasons why it signs neither answer nor checkpoints."""
    found = []
    for ask in (lambda: witness.answer(NONCE), witness.note, lambda: witness.note(1)):
        with pytest.raises(Unavailable) as caught:
            ask()
        found.append(caught.value.reason)
    return found


def test_all_witnesses_sign_the_same_bytes_and_their_notes_merge(world: World, members: Members) -> None:
    notes = [world.followed(msp_id).note() for msp_id in HOSPITALS]
    assert len({note.checkpoint for note in notes}) == 1
    assert notes[0].checkpoint.size == world.source().height() == 5
    assert verify_note(merge(notes), members.keys) == HOSPITALS


def test_an_entry_holds_header_writes_and_codes_of_its_block(world: World) -> None:
    witness = world.followed("AMSP")
    for number, raw in enumerate(world.source().blocks(0)):
        block, entry = parse_block(raw), parse_entry(witness.entry(number, 5).text)
        assert (entry.number, decode_bytes(entry.header, "")) == (number, block.header.hash())
    empty = encode_bytes(merkle.empty_root())
    assert [parse_entry(witness.entry(number, 5).text).writes == empty for number in range(5)] == [
        True, True, False, False, False
    ]  # fmt: skip


def test_entries_and_sizes_are_joined_by_proofs_that_hold(world: World) -> None:
    witness = world.followed("AMSP")
    for size in range(1, 6):
        root = witness.note(size).checkpoint.root
        for number in range(size):
            proof = witness.entry(number, size)
            merkle.verify_inclusion(merkle.leaf_hash(proof.text), number, size, proof.path, root)
        for old in range(1, size + 1):
            proof_of_growth = witness.consistency(old, size)
            merkle.verify_consistency(old, witness.note(old).checkpoint.root, size, root, proof_of_growth)


@pytest.mark.parametrize(
    "ask",
    [
        lambda w: w.note(6),
        lambda w: w.note(0),
        lambda w: w.entry(5, 5),
        lambda w: w.entry(0, 6),
        lambda w: w.entry(-1, 5),
        lambda w: w.consistency(0, 5),
        lambda w: w.consistency(5, 4),
        lambda w: w.consistency(1, 6),
        lambda w: w.write(5, "tx", "k"),
        lambda w: w.write(2, "tx", "k"),
    ],
)
def test_what_is_not_verified_is_not_found(world: World, ask: object) -> None:
    with pytest.raises(NotFound):
        ask(world.followed("AMSP"))  # type: ignore[operator]


def test_a_write_becomes_a_receipt_that_verifies(world: World, members: Members) -> None:
    witnesses = [world.followed(msp_id) for msp_id in HOSPITALS]
    receipt = receipt_of(witnesses[0], world, 4).with_notes(w.note() for w in witnesses)
    verified = verify_receipt(receipt, members)
    assert verified.signers == ("AMSP", "BMSP")  # block 4 is C's own registration: C is a party
    assert (verified.block, verified.required, verified.single_operator) == (4, 1, True)


def receipt_of(witness: Witness, world: World, number: int) -> Receipt:
    """A receipt for the write of a member's entry in a block."""
    verifier = ChainVerifier(replay=contract_replayer())
    blocks = [verifier.add(raw) for raw in world.source().blocks(0)]
    transaction = blocks[number].transactions[0].transaction
    assert transaction is not None
    writes = [write for rwset in transaction.rwsets if rwset.namespace == "yilian" for write in rwset.writes]
    (write,) = [write for write in writes if write.key.startswith("\0org\0")]
    place = witness.write(number, transaction.tx_id, write.key)
    path = tuple(encode_bytes(item) for item in place.path)
    entry = witness.entry(number, witness.size)
    return Receipt(
        CHANNEL, "embedded", Proven("write", write.key, (write.value or b"").decode()),
        WritePlace(place.transaction, transaction.tx_id, place.index, place.size, path),
        entry.text.decode(), Inclusion(witness.size, tuple(encode_bytes(item) for item in entry.path)),
        witness.note().text(),
    )  # fmt: skip


def test_an_answer_tells_how_far_the_witness_is(world: World) -> None:
    witness = world.followed("BMSP")
    keys = [witness_key("BMSP").public]
    answer = verify_answer(witness.answer(NONCE), channel=CHANNEL, msp_id="BMSP", nonce=NONCE, keys=keys)
    assert (answer.block, answer.head()) == (4, witness.note().checkpoint)
    assert answer.header == parse_entry(witness.entry(4, 5).text).header
    validity = BEFORE_GENESIS
    for raw in world.source().blocks(0):
        validity = validity_after(validity, parse_block(raw).header.hash(), [True])
    assert answer.validity == encode_bytes(validity)
    world.submit("AMSP", "https://new.example")
    catch_up(witness)
    later = verify_answer(witness.answer(NONCE), channel=CHANNEL, msp_id="BMSP", nonce=NONCE, keys=keys)
    assert later.block == 5
    assert later.validity != answer.validity


def test_a_malformed_nonce_is_refused(world: World) -> None:
    witness = world.followed("AMSP")
    for nonce in ("", "AA", NONCE[:-1], NONCE + "A", "=" * 43):
        with pytest.raises(Invalid):
            witness.answer(nonce)


def test_a_witness_without_blocks_signs_nothing(world: World) -> None:
    assert set(refusals(world.witness("AMSP"))) == {"no-blocks"}


# --- A ledger that lies ---------------------------------------------------------------------------------------------


class OtherContract:
    """Executes as the contract does, but writes another value in one block: what colluding peers would commit."""

    def __init__(self, wrong_from: int) -> None:
        self._honest: ContractReplay = contract_replayer()
        self._left = wrong_from

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Simulation | None:
        found = self._honest(transaction, sequence, state)
        if found is not None:
            self._left -= 1
        return Simulation((), found.response, found.event) if found is not None and self._left < 0 else found


def test_a_transaction_that_the_contract_does_not_give_stops_the_signing_for_good(world: World) -> None:
    witness = world.witness("AMSP", replay=OtherContract(wrong_from=1))
    with pytest.raises(Tampered) as caught:
        catch_up(witness)
    assert (caught.value.reason, caught.value.place) == ("contract", "block 3")
    assert witness.alarm is not None
    assert (witness.alarm.reason, witness.alarm.place) == ("contract", "block 3")
    assert set(refusals(witness)) == {"alarm"}
    world.submit("AMSP", "https://new.example")
    witness.step(NOW)
    assert set(refusals(witness)) == {"alarm"}


class Altered:
    """Raw blocks with one altered byte or another order."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.raw = blocks

    def height(self) -> int:
        return len(self.raw)

    def blocks(self, start: int) -> Iterator[bytes]:
        yield from self.raw[start:]

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        return self.height() > height


def test_an_altered_byte_anywhere_in_a_block_stops_the_signing(world: World) -> None:
    honest = list(world.source().blocks(0))
    for number, offset in [(0, 300), (1, 900), (2, 500), (3, -1), (4, 1200)]:
        altered = [bytearray(raw) for raw in honest]
        altered[number][offset] ^= 1
        witness = world.witness(
            "AMSP", source=Altered(list(map(bytes, altered))), database=world.folder / f"{number}.db"
        )
        with pytest.raises((Tampered, Invalid)):
            catch_up(witness)
        assert set(refusals(witness)) == {"alarm"}


def test_a_ledger_that_becomes_shorter_stops_the_signing(world: World) -> None:
    source = Altered(list(world.source().blocks(0)))
    witness = world.witness("AMSP", source=source)
    catch_up(witness)
    assert witness.note().checkpoint.size == 5
    source.raw.pop()
    with pytest.raises(Tampered, match="gone"):
        witness.step(NOW)
    assert set(refusals(witness)) == {"alarm"}


def test_another_genesis_is_another_channel(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    init(other.ledger, CHANNEL, ["AMSP"], clock=other.clock, random=os.urandom)
    source = other.source()
    foreign = Altered(list(source.blocks(0)))
    source.close()
    with pytest.raises(Tampered) as caught:
        catch_up(world.witness("AMSP", source=foreign))
    assert caught.value.reason == "genesis"


# --- Starting again -------------------------------------------------------------------------------------------------


def test_a_restart_verifies_everything_anew_and_signs_the_same(world: World) -> None:
    before = world.followed("AMSP").note()
    again = world.witness("AMSP")
    assert set(refusals(again)) == {"alarm"}  # behind what it has witnessed already
    catch_up(again)
    assert again.note() == before
    assert again.alarm is None


def test_after_a_restart_another_history_is_never_signed(world: World) -> None:
    fork = world.fork()
    world.submit("AMSP", "https://one.example")
    world.submit("AMSP", "https://other.example", ledger=fork)
    witness = world.followed("AMSP")
    assert witness.note().checkpoint.size == 6
    restarted = world.witness("AMSP", ledger=fork)
    with pytest.raises(Tampered) as caught:
        catch_up(restarted)
    assert (caught.value.reason, caught.value.place) == ("witnessed-differently", "block 5")
    assert set(refusals(restarted)) == {"alarm"}


def test_a_ledger_behind_what_was_witnessed_signs_nothing_until_it_has_caught_up(world: World) -> None:
    rolled_back = world.fork()
    world.submit("AMSP", "https://one.example")
    assert world.followed("AMSP").size == 6
    restarted = world.witness("AMSP", ledger=rolled_back)
    catch_up(restarted)
    assert restarted.alarm is not None
    assert restarted.alarm.reason == "behind"
    assert set(refusals(restarted)) == {"alarm"}


def test_a_rolled_back_database_is_filled_again_with_the_same(world: World) -> None:
    witness = world.followed("AMSP")
    with closing(sqlite3.connect(world.folder / "AMSP.db")) as connection:
        connection.execute("DELETE FROM entry WHERE number > 2")
        connection.execute("DELETE FROM write_leaf WHERE number > 2")
        connection.commit()
    assert world.followed("AMSP").note() == witness.note()


def edited(world: World, statement: str) -> None:
    with closing(sqlite3.connect(world.folder / "AMSP.db")) as connection:
        assert connection.execute(statement).rowcount >= 1
        connection.commit()


def test_an_edited_entry_is_found_at_the_next_start(world: World) -> None:
    world.followed("AMSP")
    edited(world, "UPDATE entry SET entry = (SELECT entry FROM entry WHERE number = 3) WHERE number = 2")
    with pytest.raises(Tampered, match="block 2"):
        catch_up(world.witness("AMSP"))


def test_a_hole_in_the_database_is_found_at_the_next_start(world: World) -> None:
    world.followed("AMSP")
    edited(world, "DELETE FROM entry WHERE number = 2")
    with pytest.raises(Tampered, match="missing"):
        world.witness("AMSP")


@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_a_truncated_database_is_no_database(world: World, keep: float) -> None:
    witness = world.followed("AMSP")
    witness._database.close()
    path = world.folder / "AMSP.db"
    for extra in ("-wal", "-shm"):
        (world.folder / f"AMSP.db{extra}").unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(YilianError) as caught:
        catch_up(world.witness("AMSP"))
    assert isinstance(caught.value, (Tampered, Unavailable))


@pytest.mark.parametrize(
    ("statement", "ask"),
    [
        (
            "UPDATE entry SET entry = (SELECT entry FROM entry WHERE number = 3) WHERE number = 2",
            lambda w: w.entry(2, 5),
        ),
        ("DELETE FROM write_leaf WHERE number = 2", lambda w: w.write(2, "tx", "key")),
    ],
)
def test_a_database_edited_under_a_running_witness_raises_the_alarm(world: World, statement: str, ask: object) -> None:
    witness = world.followed("AMSP")
    root = witness.note().checkpoint
    edited(world, statement)
    assert witness.note().checkpoint == root  # the log that is signed is not read from the disk
    with pytest.raises(Tampered, match="altered"):
        ask(witness)  # type: ignore[operator]
    assert set(refusals(witness)) == {"alarm"}


def test_write_leaves_lost_from_the_database_are_found_at_the_next_start(world: World) -> None:
    world.followed("AMSP")
    edited(world, "DELETE FROM write_leaf WHERE number = 3")
    with pytest.raises(Tampered, match="block 3"):
        catch_up(world.witness("AMSP"))


def test_two_processes_over_one_database_do_not_mix(world: World) -> None:
    first, second = world.witness("AMSP"), world.witness("AMSP")
    catch_up(first)
    with pytest.raises(Tampered, match="another process"):
        catch_up(second)


class FailingOnce(Altered):
    """Ends with a fault in the middle of the second call."""

    failed = False

    def blocks(self, start: int) -> Iterator[bytes]:
        for raw in self.raw[start:]:
            yield raw
            if not self.failed:
                self.failed = True
                raise Unavailable("the peer is down")


def test_a_peer_that_fails_in_the_middle_is_asked_again_from_there(world: World) -> None:
    witness = world.witness("AMSP", source=FailingOnce(list(world.source().blocks(0))))
    with pytest.raises(Unavailable):
        witness.step(NOW)
    catch_up(witness)
    assert witness.note().checkpoint == world.followed("BMSP").note().checkpoint


def test_a_silent_peer_ends_the_answers(world: World) -> None:
    seconds = [0.0]
    witness = Witness(
        world.followed("AMSP").identity, witness_key("AMSP"), world.source(),
        world.witness("AMSP", database=world.folder / "own.db")._database, contract_replayer(),
        monotonic=lambda: seconds[0],
    )  # fmt: skip
    catch_up(witness)
    seconds[0] = MAX_SILENCE_S
    assert parse_body(json.loads(witness.answer(NONCE).text)["checkpoint"]).size == 5
    seconds[0] += 0.1
    assert set(refusals(witness)) == {"silent-peer"}
    witness.step(NOW)
    assert witness.note().checkpoint.size == 5


class Counting(Altered):
    """A peer that counts what it is asked."""

    asked = 0

    def height(self) -> int:
        self.asked += 1
        return super().height()

    def blocks(self, start: int) -> Iterator[bytes]:
        self.asked += 1
        return super().blocks(start)


def test_where_nothing_is_new_the_peer_is_asked_once(world: World) -> None:
    source = Counting(list(world.source().blocks(0)))
    witness = world.witness("AMSP", source=source)
    catch_up(witness)
    source.asked = 0
    witness.step(NOW)
    assert source.asked == 1


def test_a_block_that_the_disk_refused_is_not_forgotten_when_the_peer_takes_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = list(world.source().blocks(0))
    source = Altered(raw[:-1])
    witness = world.witness("AMSP", source=source)
    catch_up(witness)

    def refuse(*_given: object) -> None:
        raise Unavailable("the disk is full")

    source.raw = raw
    with monkeypatch.context() as patched:
        patched.setattr(witness._database, "append", refuse)
        with pytest.raises(Unavailable):
            witness.step(NOW)
    source.raw = raw[:-1]
    witness.step(NOW)
    assert witness.size == len(raw)
    with pytest.raises(Tampered):
        witness.step(NOW)
    assert set(refusals(witness)) == {"alarm"}


class Endless:
    """A peer whose blocks come one by one, more than the witness takes at a time."""

    def __init__(self, source: RawBlocks) -> None:
        self._source = source
        self.told = 0

    def height(self) -> int:
        return self._source.height()

    def blocks(self, start: int) -> Iterator[bytes]:
        yield from itertools.islice(self._source.blocks(start), self.told - start)

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        return True


def test_a_witness_that_catches_up_does_not_vouch_for_an_old_height(world: World) -> None:
    """A new or emptied witness would tell a custodian that nothing was refused since the beginning."""
    source = Endless(world.source())
    witness = world.witness("AMSP", source=source)
    for source.told in (2, 4):
        witness.step(NOW)
        assert witness.note(2).checkpoint.size == 2  # what is verified is signed, for receipts
        with pytest.raises(Unavailable) as refused:
            witness.answer(NONCE)
        assert refused.value.reason == "catching-up"
    source.told = 5
    witness.step(NOW)
    assert witness.answer(NONCE)
