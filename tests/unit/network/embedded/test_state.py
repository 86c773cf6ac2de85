from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound
from network.blocks.rwset import Version
from network.embedded.database import Database, create_database
from network.embedded.founding import Founding
from network.embedded.ledger import EmbeddedLedger
from network.embedded.state import StoredState, read_block, read_genesis


def fill(connection: sqlite3.Connection) -> None:
    rows = [("ns", "a"), ("ns", "b"), ("ns", "b\0"), ("ns", "c"), ("ns", "病"), ("other", "b")]
    for position, (namespace, key) in enumerate(rows):
        connection.execute("INSERT INTO state VALUES (?, ?, x'01', 7, ?)", (namespace, key.encode(), position))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StoredState]:
    create_database(tmp_path / "ledger.db", fill)
    with Database(tmp_path / "ledger.db").snapshot() as connection:
        yield StoredState(connection)


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        ("", "", ["a", "b", "b\0", "c", "病"]),
        ("b", "c", ["b", "b\0"]),
        ("b", "b\0", ["b"]),
        ("b", "b", []),
        ("c", "", ["c", "病"]),
        ("c", "\U0010ffff", ["c", "病"]),
    ],
)
def test_a_range_holds_its_start_and_not_its_end(state: StoredState, start: str, end: str, keys: list[str]) -> None:
    assert [key for key, _ in state.scan("ns", start, end)] == keys
    assert [key for key, _, _ in state.range("ns", start, end)] == keys


def test_a_key_has_value_and_version_in_its_own_namespace_only(state: StoredState) -> None:
    assert state.value("ns", "b") == (b"\x01", Version(7, 1))
    assert state.version("other", "b") == Version(7, 5)
    assert state.version("other", "a") is None
    assert state.get("nowhere", "b") is None


def test_a_block_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    create_database(tmp_path / "ledger.db", lambda connection: None)
    with Database(tmp_path / "ledger.db").snapshot() as connection, pytest.raises(NotFound):
        read_block(connection, 0)


def test_only_block_0_is_a_genesis_block(founding: Founding, ledger: EmbeddedLedger) -> None:
    assert read_genesis(ledger.raw_block(0)).channel == founding.channel
    with pytest.raises(Invalid):
        read_genesis(ledger.raw_block(1))
