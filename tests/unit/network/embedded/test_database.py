from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from domain.errors import Invalid, OutcomeUnknown, Tampered, Unavailable
from network.embedded.database import SCHEMA_VERSION, Database, create_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    create_database(path, lambda connection: None)
    return path


def commit_failed() -> Exception:
    return OutcomeUnknown("it may be in", tx_id="")


def insert(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("INSERT INTO block VALUES (?, x'', x'', x'')", (number,))


def numbers(database: Database) -> list[int]:
    with database.connection() as connection:
        return [row[0] for row in connection.execute("SELECT number FROM block ORDER BY number")]


def test_every_connection_writes_ahead_and_waits_for_the_disk(path: Path) -> None:
    with Database(path).connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0])
def test_a_file_of_another_schema_is_refused(path: Path, version: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    with pytest.raises(Invalid) as caught:
        Database(path)
    assert caught.value.reason == "schema-version"


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE block (number INTEGER)")
    with pytest.raises(Invalid) as caught:
        Database(tmp_path / "other.db")
    assert caught.value.reason == "not-a-ledger"


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Database(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_a_strange_name_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20.db"
    create_database(path, lambda connection: None)
    assert numbers(Database(path)) == []


def test_a_damaged_file_raises_the_alarm(path: Path) -> None:
    path.write_bytes(os.urandom(8192))
    with pytest.raises(Tampered):
        Database(path)


def test_a_snapshot_does_not_see_later_commits(path: Path) -> None:
    database = Database(path)
    with database.snapshot() as snapshot:
        before = snapshot.execute("SELECT count(*) FROM block").fetchone()
        with database.writing(1, commit_failed) as connection:
            insert(connection, 0)
        assert snapshot.execute("SELECT count(*) FROM block").fetchone() == before
    assert numbers(database) == [0]


def test_an_error_while_writing_leaves_nothing(path: Path) -> None:
    database = Database(path)

    def insert_and_fail() -> None:
        with database.writing(1, commit_failed) as connection:
            insert(connection, 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    assert numbers(database) == []
    with database.writing(1, commit_failed) as connection:
        insert(connection, 1)
    assert numbers(database) == [1]


def test_a_lock_held_elsewhere_makes_writing_unavailable(path: Path) -> None:
    first, second = Database(path), Database(path)
    with first.writing(1, commit_failed) as connection:
        insert(connection, 0)
        with pytest.raises(Unavailable), second.writing(0.01, commit_failed):
            raise AssertionError
    with second.writing(1, commit_failed) as connection:
        insert(connection, 1)
    assert numbers(first) == [0, 1]


def test_a_commit_that_fails_leaves_the_outcome_unknown(path: Path) -> None:
    database = Database(path)
    with database.connection() as connection:
        connection.execute("CREATE TABLE child (parent INTEGER REFERENCES block DEFERRABLE INITIALLY DEFERRED)")
        connection.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(OutcomeUnknown), database.writing(1, commit_failed) as connection:
        connection.execute("INSERT INTO child VALUES (7)")
    assert numbers(database) == []


def test_a_closed_database_is_unavailable(path: Path) -> None:
    database = Database(path)
    database.close()
    with pytest.raises(Unavailable):
        numbers(database)
