from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from domain.errors import Conflict, Unavailable
from node_service.database.engine import Database


@pytest.mark.sqlite
def test_an_error_of_the_database_does_not_repeat_the_values_of_its_statement(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    with pytest.raises(Unavailable) as refused, database.transaction() as session:
        session.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Synthetic Sally"})
    assert "nowhere" in str(refused.value.__cause__)
    assert "Sally" not in str(refused.value.__cause__)
    database.close()


@pytest.mark.sqlite
def test_what_was_deleted_lies_neither_in_the_file_nor_in_its_log(tmp_path: Path) -> None:
    path, seeded = tmp_path / "node.db", "Synthetic Sally " * 2000
    database = Database(f"sqlite:///{path}")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE t (a TEXT)"))
        session.execute(text("INSERT INTO t VALUES (:a)"), {"a": seeded})
    assert database.truncate_log()
    assert b"Synthetic Sally" in path.read_bytes()
    with database.transaction() as session:
        session.execute(text("DELETE FROM t"))
    log = path.with_name("node.db-wal")
    assert log.stat().st_size > 0
    assert database.truncate_log()
    assert log.stat().st_size == 0
    assert b"Synthetic Sally" not in path.read_bytes()
    database.close()


@pytest.mark.sqlite
def test_the_log_is_not_emptied_under_a_reader_and_writers_hardly_wait(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE t (a TEXT)"))
    with database.reading() as reader:
        reader.execute(text("SELECT * FROM t")).all()
        with database.transaction() as session:
            session.execute(text("INSERT INTO t VALUES ('x')"))
        assert not database.truncate_log()
    assert database.truncate_log()
    with database.reading() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar_one() == 10_000
    database.close()


@pytest.mark.sqlite
def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE p (a INTEGER PRIMARY KEY)"))
        session.execute(text("CREATE TABLE c (a INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)"))
    with pytest.raises(Conflict), database.transaction() as session:
        session.execute(text("INSERT INTO c VALUES (1)"))
    with database.transaction() as session:
        session.execute(text("INSERT INTO p VALUES (1)"))
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM c")).scalar_one() == 0
    database.close()
