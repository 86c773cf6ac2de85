from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from domain import jcs
from domain.errors import Tampered
from network.blocks.lifecycle import NAMESPACE
from network.blocks.proposal import (
    Response,
    Simulation,
    build_response_payload,
    build_transaction,
    endorse,
    propose,
    sign_envelope,
)
from network.blocks.protos import common, parse_into, serialize
from network.blocks.rwset import NamespaceRwset, Write
from network.embedded.founding import Founding
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.material import load_key_pair
from network.verifier.report import Rule
from tests.unit.network.embedded.conftest import Open

Change = Callable[[Any], None]


def overwrite(founding: Founding, number: int, change: Change) -> None:
    """Alters a block in the file, behind everybody's back."""
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection, connection:
        (raw,) = connection.execute("SELECT raw FROM block WHERE number = ?", (number,)).fetchone()
        block = parse_into(common.Block(), raw, "Block")
        change(block)
        connection.execute("UPDATE block SET raw = ? WHERE number = ?", (serialize(block), number))


def flip(raw: bytes, position: int) -> bytes:
    return raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]


def another_number(block: Any) -> None:
    block.header.number += 1


def another_predecessor(block: Any) -> None:
    block.header.previous_hash = flip(block.header.previous_hash, 0)


def another_data_hash(block: Any) -> None:
    block.header.data_hash = flip(block.header.data_hash, 31)


def altered_transaction(block: Any) -> None:
    block.data.data[0] = flip(block.data.data[0], len(block.data.data[0]) // 2)


def transaction_left_out(block: Any) -> None:
    del block.data.data[:]
    block.metadata.metadata[2] = b""


def orderer_signature_missing(block: Any) -> None:
    block.metadata.metadata[0] = b""


def orderer_signature_altered(block: Any) -> None:
    block.metadata.metadata[0] = flip(block.metadata.metadata[0], len(block.metadata.metadata[0]) - 1)


def code_missing(block: Any) -> None:
    block.metadata.metadata[2] = b""


def valid_called_a_policy_failure(block: Any) -> None:
    block.metadata.metadata[2] = b"\x0a"


def valid_called_a_read_conflict(block: Any) -> None:
    block.metadata.metadata[2] = b"\x0b"


def valid_called_a_duplicate(block: Any) -> None:
    block.metadata.metadata[2] = b"\x09"


def commit_hash_missing(block: Any) -> None:
    block.metadata.metadata[4] = b""


CHANGES: dict[Change, Rule] = {
    another_number: Rule.NUMBER,
    another_predecessor: Rule.PREVIOUS_HASH,
    another_data_hash: Rule.DATA_HASH,
    altered_transaction: Rule.DATA_HASH,
    transaction_left_out: Rule.DATA_HASH,
    orderer_signature_missing: Rule.ORDERER_SIGNATURE,
    orderer_signature_altered: Rule.ORDERER_SIGNATURE,
    code_missing: Rule.VALIDATION_CODE,
    valid_called_a_policy_failure: Rule.VALIDATION_CODE,
    valid_called_a_read_conflict: Rule.COMMIT_HASH,
    valid_called_a_duplicate: Rule.COMMIT_HASH,
    commit_hash_missing: Rule.COMMIT_HASH,
}


@pytest.fixture
def three(ledger: EmbeddedLedger) -> EmbeddedLedger:
    """A ledger with one transaction in each of the blocks 2, 3 and 4."""
    for text in "abc":
        ledger.submit("Put", jcs.canonical({"drawer": text, "text": text}))
    return ledger


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_altered_block_stops_the_reader_and_those_before_it_stand(
    founding: Founding, three: EmbeddedLedger, change: Change
) -> None:
    overwrite(founding, 3, change)
    blocks = three.blocks(0)
    assert [next(blocks).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Tampered) as caught:
        next(blocks)
    assert caught.value.place.startswith("block 3")
    assert caught.value.reason == CHANGES[change]


def test_a_block_with_a_read_conflict_called_valid_is_noticed(founding: Founding, three: EmbeddedLedger) -> None:
    stale = three.assemble(three.endorse(three.propose("Append", jcs.canonical({"drawer": "a", "text": "1"}))))
    three.submit("Put", jcs.canonical({"drawer": "a", "text": "2"}))
    three.broadcast(stale)

    def call_it_valid(block: Any) -> None:
        block.metadata.metadata[2] = b"\0"

    overwrite(founding, three.height() - 1, call_it_valid)
    with pytest.raises(Tampered, match="commit hash"):
        list(three.blocks(0))


def test_another_genesis_block_is_noticed(founding: Founding, three: EmbeddedLedger) -> None:
    def change(block: Any) -> None:
        block.data.data[0] = flip(block.data.data[0], 100)

    overwrite(founding, 0, change)
    with pytest.raises(Tampered):
        list(three.blocks(0))


def test_a_missing_block_is_noticed(founding: Founding, three: EmbeddedLedger) -> None:
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection, connection:
        connection.execute("DELETE FROM block WHERE number = 3")
    with pytest.raises(Tampered):
        list(three.blocks(0))


def remove_last(founding: Founding) -> None:
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection, connection:
        connection.execute("DELETE FROM block WHERE number = (SELECT max(number) FROM block)")


def test_a_ledger_that_became_shorter_is_noticed_by_who_read_it_before(
    founding: Founding, three: EmbeddedLedger
) -> None:
    list(three.blocks(0))
    remove_last(founding)
    with pytest.raises(Tampered) as caught:
        list(three.blocks(0))
    assert caught.value.reason == "shortened"


def test_a_ledger_shorter_than_a_followers_checkpoint_is_noticed(founding: Founding, opened: Open) -> None:
    follower = opened("NorthMSP")
    assert list(follower.blocks(2)) == []
    remove_last(founding)
    with pytest.raises(Tampered) as caught:
        list(follower.blocks(2))
    assert caught.value.reason == "shortened"


def test_a_past_that_was_rewritten_since_it_was_read_is_noticed(
    founding: Founding, three: EmbeddedLedger, opened: Open
) -> None:
    """A second history, whole and properly signed, as an operator with all keys can make it."""
    copy = sqlite3.connect(":memory:")
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection:
        connection.backup(copy)
        three.submit("Put", jcs.canonical({"drawer": "d", "text": "promised"}))
        assert [block.number for block in three.blocks(0)] == list(range(6))
        copy.backup(connection)
    other = opened("SouthMSP")
    for text in "ef":
        other.submit("Put", jcs.canonical({"drawer": text, "text": "other"}))
    assert [block.number for block in other.blocks(0)] == list(range(7))
    with pytest.raises(Tampered) as caught:
        list(three.blocks(6))
    assert caught.value.reason == Rule.PREVIOUS_HASH


def unendorsed(founding: Founding, args: list[bytes], timestamp_ns: int) -> bytes:
    """What any member can have ordered: signed by its creator, endorsed by nobody."""
    signer = load_key_pair(Layout(founding.directory).identity("SouthMSP", "auditor")).signer("SouthMSP")
    proposal = propose(
        channel="care", chaincode=founding.contract, args=args, creator=signer.identity, nonce=os.urandom(24),
        timestamp_ns=timestamp_ns,
    )  # fmt: skip
    payload = build_response_payload(proposal, Simulation((), Response(200)), version="1")
    return sign_envelope(build_transaction(proposal, payload, []), signer)


@pytest.mark.parametrize(
    ("args", "timestamp_ns"),
    [([b"Put"], 0), ([b"Put", b"{}", b""], 0), ([], 0), ([b"Put", b"{}"], 9 * 10**27)],
    ids=["one argument", "three arguments", "none", "no point in time"],
)
def test_a_member_cannot_stop_the_followers_with_an_invalid_transaction(
    founding: Founding, ledger: EmbeddedLedger, args: list[bytes], timestamp_ns: int
) -> None:
    tx_id = ledger.broadcast(unendorsed(founding, args, timestamp_ns))
    status = ledger.status(tx_id)
    assert status is not None
    assert status.code == "ENDORSEMENT_POLICY_FAILURE"
    good = ledger.submit("Put", jcs.canonical({"drawer": "a", "text": "x"}))
    found = [item for block in ledger.blocks(0) for item in block.transactions]
    assert [item.tx_id for item in found if item.code == "VALID"] == [good]


def test_another_contract_that_writes_the_contracts_state_is_noticed(
    founding: Founding, ledger: EmbeddedLedger
) -> None:
    """Its writes would count for the contract, and no follower would hear of them."""
    layout = Layout(founding.directory)
    signer = load_key_pair(layout.identity("SouthMSP", "admin")).signer("SouthMSP")
    proposal = propose(
        channel="care", chaincode=NAMESPACE, args=[b"x"], creator=signer.identity, nonce=os.urandom(24), timestamp_ns=0
    )
    forged = NamespaceRwset(founding.contract, writes=(Write("drawer", b"forged"),))
    payload = build_response_payload(proposal, Simulation((forged,), Response(200)), version="1")
    peers = [load_key_pair(layout.identity(name, "peer")).signer(name) for name in founding.organisations]
    envelope = build_transaction(proposal, payload, [endorse(payload, peer) for peer in peers])
    status = ledger.status(ledger.broadcast(sign_envelope(envelope, signer)))
    assert status is not None
    assert status.code == "VALID"
    with pytest.raises(Tampered) as caught:
        list(ledger.blocks(0))
    assert caught.value.reason == "foreign-write"
