"""What PostgreSQL gives beside rows: one writer, one moment for readers, one leader, word between processes."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from domain.errors import Conflict, Invalid, Unavailable
from node_service.database.engine import Database
from node_service.database.postgresql import LeaderLock
from scripts.postgresql import Server

WAIT_S = 20.0


@pytest.fixture
def name(server: Server) -> str:
    """A fresh database."""
    made = f"db_{uuid.uuid4().hex}"
    server.create(made)
    return made


@pytest.fixture
def database(server: Server, name: str) -> Iterator[Database]:
    with closing(Database(server.url(name))) as opened:
        with opened.transaction() as session:
            session.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)"))
        yield opened


def values(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(text("SELECT a FROM t ORDER BY a")))


def put(database: Database, number: int) -> None:
    with database.transaction() as session:
        session.execute(text("INSERT INTO t VALUES (:a)"), {"a": number})


def test_a_writer_sees_what_was_committed_while_it_waited_for_its_turn(database: Database) -> None:
    seen = queue.SimpleQueue[int]()

    def count() -> None:
        with database.transaction() as session:
            seen.put(session.scalars(text("SELECT count(*) FROM t")).one())

    with database.transaction() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
        second = threading.Thread(target=count)
        second.start()
        second.join(0.3)
        assert seen.empty()
    second.join(WAIT_S)
    assert seen.get(timeout=WAIT_S) == 1


def test_a_reader_sees_one_moment_and_waits_for_nobody(database: Database) -> None:
    put(database, 1)
    with database.reading() as session, database.transaction() as writing:
        assert session.scalars(text("SELECT count(*) FROM t")).one() == 1
        writing.execute(text("INSERT INTO t VALUES (2)"))
        writing.commit()
        assert session.scalars(text("SELECT count(*) FROM t")).one() == 1
    assert values(database) == [1, 2]


def test_a_reader_writes_nothing(database: Database) -> None:
    with pytest.raises(Unavailable), database.reading() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
    assert values(database) == []


def test_a_constraint_that_does_not_hold_is_a_conflict_and_names_no_values(database: Database) -> None:
    put(database, 714_253)
    with pytest.raises(Conflict) as refused:
        put(database, 714_253)
    assert "[SQL parameters hidden" in str(refused.value.__cause__)
    assert "714253" not in str(refused.value)


@pytest.mark.parametrize("value", ["x" * 9, "a\0b"], ids=["too-long", "nul"])
def test_a_value_that_the_database_does_not_keep_is_refused_as_what_it_is(database: Database, value: str) -> None:
    with database.transaction() as session:
        session.execute(text("CREATE TABLE words (word VARCHAR(8))"))
    with pytest.raises(Invalid) as refused, database.transaction() as session:
        session.execute(text("INSERT INTO words VALUES (:word)"), {"word": value})
    assert refused.value.reason == "database-value"


def test_a_wrong_statement_is_a_fault_of_the_program(database: Database) -> None:
    with pytest.raises(ProgrammingError), database.transaction() as session:
        session.execute(text("INSERT INTO nowhere VALUES (1)"))


def test_after_the_server_went_and_came_back_the_same_pool_works(server: Server, database: Database) -> None:
    put(database, 1)
    server.stop("immediate")
    with pytest.raises(Unavailable):
        put(database, 2)
    server.start()
    put(database, 3)
    assert values(database) == [1, 3]


def test_a_commit_whose_wait_for_a_replica_was_given_up_is_no_success(
    server: Server, name: str, database: Database
) -> None:
    """It waits without end, whatever the time limits; an administrator may cancel the wait, which undoes nothing."""
    server.set("synchronous_standby_names", "nobody")
    ended, failed = threading.Event(), queue.SimpleQueue[Exception]()

    def put_until_it_fails() -> None:
        try:
            for number in range(100_000):  # the server takes the setting in a moment later
                put(database, number)
        except Unavailable as error:
            failed.put(error)
        finally:
            ended.set()

    putting = threading.Thread(target=put_until_it_fails)
    putting.start()
    try:
        with psycopg.connect(server.conninfo(name), autocommit=True) as connection:
            while not ended.wait(0.05):
                connection.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    finally:
        server.set("synchronous_standby_names", "")
        putting.join(WAIT_S)
    assert not failed.empty()
    put(database, -1)
    assert values(database)[0] == -1


def take_when_free(lock: LeaderLock) -> None:
    """The server frees a lock a moment after its holder's connection ended."""
    deadline = time.monotonic() + WAIT_S
    while not lock.take():
        assert time.monotonic() < deadline


def test_of_two_processes_one_leads_and_the_other_takes_over(database: Database) -> None:
    first, second = LeaderLock(database.engine), LeaderLock(database.engine)
    assert first.take()
    assert not second.take()
    first.release()
    take_when_free(second)
    assert second.is_held()
    second.release()


def test_who_waits_for_the_lock_asks_on_one_connection(server: Server, name: str, database: Database) -> None:
    holder, waiting = LeaderLock(database.engine), LeaderLock(database.engine)
    assert holder.take()
    seen = set()
    with psycopg.connect(server.conninfo(name)) as connection:
        for _ in range(3):
            assert not waiting.take()
            own = "SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%'"
            seen.add(str(connection.execute(f"{own} AND pid <> pg_backend_pid()").fetchone()))
            connection.rollback()  # the statistics are looked at anew
    assert len(seen) == 1
    assert not waiting.is_held()
    holder.release()
    take_when_free(waiting)
    waiting.release()


def test_nobody_leads_on_a_server_that_does_not_write(server: Server, database: Database) -> None:
    lock, other = LeaderLock(database.engine), LeaderLock(database.engine)
    assert lock.take()
    server.set("default_transaction_read_only", "on")
    try:
        deadline = time.monotonic() + WAIT_S
        while lock.is_held():
            assert time.monotonic() < deadline
        with pytest.raises(Unavailable):
            other.take()
    finally:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + WAIT_S
    while not lock.is_held():
        assert time.monotonic() < deadline
        with suppress(Unavailable):
            lock.take()
    lock.release()


def test_who_lost_the_lock_and_does_not_know_writes_nothing(server: Server, name: str, database: Database) -> None:
    lock, successor = LeaderLock(database.engine), LeaderLock(database.engine)
    assert lock.take()
    led = database.led_by(lock.session)
    put(led, 1)
    with psycopg.connect(server.conninfo(name)) as connection:
        connection.execute("SELECT pg_terminate_backend(%s::int)", (lock.session.split()[0],))
    take_when_free(successor)
    with pytest.raises(Unavailable) as refused:
        put(led, 2)
    assert refused.value.reason == "not-leading"
    assert not lock.is_held()
    put(database.led_by(successor.session), 3)
    assert values(database) == [1, 3]
    successor.release()


def test_a_new_leader_waits_for_what_the_one_before_had_begun(database: Database) -> None:
    lock, successor = LeaderLock(database.engine), LeaderLock(database.engine)
    assert lock.take()
    order = queue.SimpleQueue[str]()
    with database.led_by(lock.session).transaction() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
        lock.release()

        def take() -> None:
            take_when_free(successor)
            order.put("leads")

        taking = threading.Thread(target=take)
        taking.start()
        taking.join(0.3)
        assert order.empty()
        order.put("committed")
    taking.join(WAIT_S)
    assert [order.get(timeout=WAIT_S) for _ in range(2)] == ["committed", "leads"]
    successor.release()


def test_commits_and_words_of_one_process_are_heard_by_all(server: Server, name: str, database: Database) -> None:
    heard = queue.SimpleQueue[object]()
    with closing(Database(server.url(name))) as other:
        listener = other.listener(heard.put)
        assert listener is not None
        listener.start()
        assert heard.get(timeout=WAIT_S) == {}  # it listens
        database.tell({"wanted": 7})
        found = []
        while {"wanted": 7} not in found:
            found.append(heard.get(timeout=WAIT_S))
        with psycopg.connect(server.conninfo(name)) as stranger:
            for payload in ("[" * 7900, "[]", "{", "7"):
                stranger.execute("SELECT pg_notify('yilian', %s)", (payload,))
        put(database, 1)
        database.tell({"wanted": 8})
        while {"wanted": 8} not in found:
            found.append(heard.get(timeout=WAIT_S))
        assert [one for one in found if one] == [{"wanted": 7}, {"wanted": 8}]
        listener.ask_to_stop()
        assert listener.join(WAIT_S)
