"""Rows of many threads in one commit: durable for everybody or for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError

from domain.errors import Conflict, Unavailable
from node_service.database.engine import Database
from node_service.database.group_commit import GroupCommit, Row
from node_service.database.migrations import upgrade
from node_service.database.models import AccessRow

WITHIN_S = 30


class Gated:
    """A commit that begins when it is let, and notes what it was given."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self.batches: list[list[Row]] = []
        self.began = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self._outcomes = list(outcomes)

    def __call__(self, rows: Sequence[Row]) -> None:
        self.batches.append(list(rows))
        self.began.release()
        assert self.may_go_on.acquire(timeout=WITHIN_S)
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome is not None:
            raise outcome


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    upgrade(url)
    database = Database(url)
    yield database
    database.close()


def gather(group: GroupCommit, commit: Gated, threads: ThreadPoolExecutor, count: int) -> list[Future[None]]:
    """One thread commits; while it does, ``count`` others wait together."""
    first = threads.submit(group.insert, [{"row": 0}])
    assert commit.began.acquire(timeout=WITHIN_S)
    others = [threads.submit(group.insert, [{"row": number}]) for number in range(1, count + 1)]
    until(lambda: group.waiting == count)
    return [first, *others]


def until(condition: Callable[[], bool]) -> None:
    turn = threading.Event()
    for _ in range(WITHIN_S * 1000):
        if condition():
            return
        turn.wait(0.001)
    raise AssertionError("it did not come to be")


def row(text: str) -> Row:
    return {"leaf": text.encode(), "patient": None, "access": None, "reader": None}


def leaves(database: Database) -> list[bytes]:
    with database.reading() as session:
        return list(session.scalars(select(AccessRow.leaf).order_by(AccessRow.id)))


def test_whoever_waits_during_a_commit_shares_the_next_one(threads: ThreadPoolExecutor) -> None:
    commit = Gated()
    group = GroupCommit(commit)
    asked = gather(group, commit, threads, 5)
    commit.may_go_on.release(2)
    for one in asked:
        one.result(WITHIN_S)
    assert [len(batch) for batch in commit.batches] == [1, 5]
    assert sorted(row["row"] for batch in commit.batches for row in batch) == list(range(6))


def test_nobody_is_told_before_the_commit_that_holds_the_own_rows(threads: ThreadPoolExecutor) -> None:
    commit = Gated()
    asked = gather(GroupCommit(commit), commit, threads, 3)
    commit.may_go_on.release()
    asked[0].result(WITHIN_S)
    assert commit.began.acquire(timeout=WITHIN_S)
    assert not any(one.done() for one in asked[1:])
    commit.may_go_on.release()
    for one in asked[1:]:
        one.result(WITHIN_S)


@pytest.mark.parametrize("error", [Unavailable("disk full"), Conflict("in the way"), RuntimeError("bug")])
def test_a_failed_commit_fails_everybody_in_it_and_nobody_else(threads: ThreadPoolExecutor, error: Exception) -> None:
    commit = Gated(None, error)
    group = GroupCommit(commit)
    asked = gather(group, commit, threads, 4)
    commit.may_go_on.release(2)
    asked[0].result(WITHIN_S)
    for one in asked[1:]:
        with pytest.raises(Unavailable):
            one.result(WITHIN_S)
    commit.may_go_on.release()
    group.insert([{"row": 9}])
    assert [len(batch) for batch in commit.batches] == [1, 4, 1]


def test_a_leader_that_is_interrupted_leaves_nobody_waiting(threads: ThreadPoolExecutor) -> None:
    commit = Gated(KeyboardInterrupt())
    asked = gather(GroupCommit(commit), commit, threads, 2)
    commit.may_go_on.release(2)
    with pytest.raises(KeyboardInterrupt):
        asked[0].result(WITHIN_S)
    for one in asked[1:]:
        one.result(WITHIN_S)


def test_rows_of_many_threads_are_all_there_once_in_the_order_of_each(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    def write(thread: int) -> None:
        for number in range(20):
            database.access_rows.insert([row(f"{thread}-{number}-a"), row(f"{thread}-{number}-b")])

    list(threads.map(write, range(8)))
    found = leaves(database)
    assert len(found) == len(set(found)) == 8 * 20 * 2
    for thread in range(8):
        own = [leaf for leaf in found if leaf.startswith(b"%d-" % thread)]
        assert own == [f"{thread}-{number}-{part}".encode() for number in range(20) for part in "ab"]


def test_a_row_is_there_for_other_connections_when_the_insert_returns(database: Database) -> None:
    other = Database(str(database.engine.url))
    database.access_rows.insert([row("first")])
    assert leaves(other) == [b"first"]
    other.close()


def test_a_row_that_the_table_refuses_leaves_none_of_its_batch(database: Database) -> None:
    broken: dict[str, Any] = {**row("second"), "leaf": None}
    with pytest.raises(Unavailable) as refused:
        database.access_rows.insert([row("first"), broken])
    assert isinstance(refused.value.__cause__, Conflict | DatabaseError)
    assert leaves(database) == []


def test_a_commit_is_told_after_it_is_durable(database: Database) -> None:
    told: list[int] = []
    database.after_commit(lambda: told.append(len(leaves(database))))
    database.access_rows.insert([row("first")])
    with database.transaction() as session:
        session.add(AccessRow(leaf=b"second"))
    with pytest.raises(ValueError, match="no"), database.transaction() as session:  # noqa: PT012
        session.add(AccessRow(leaf=b"third"))
        raise ValueError("no")
    assert told == [1, 2]
