from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from domain import jcs
from domain.errors import Tampered
from network.blocks.protos import common, parse_into, serialize
from network.embedded.founding import Founding
from network.embedded.ledger import EmbeddedLedger
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


CHANGES: dict[Change, str] = {
    another_number: "broken-chain",
    another_predecessor: "broken-chain",
    another_data_hash: "bad-data-hash",
    altered_transaction: "bad-data-hash",
    transaction_left_out: "bad-data-hash",
    orderer_signature_missing: "bad-orderer-signature",
    orderer_signature_altered: "bad-orderer-signature",
    code_missing: "bad-filter",
    valid_called_a_policy_failure: "bad-code",
    valid_called_a_read_conflict: "bad-commit-hash",
    valid_called_a_duplicate: "bad-commit-hash",
    commit_hash_missing: "bad-commit-hash",
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
    assert caught.value.reason == "broken-chain"
