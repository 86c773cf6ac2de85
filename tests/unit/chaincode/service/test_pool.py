"""The pool runs what it has room for, refuses the rest at once, and survives what it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaincode.service.outbox import Outbox
from chaincode.service.pool import TransactionPool
from domain.errors import Unavailable

WAIT_S = 5.0


@contextmanager
def blocked(pool: TransactionPool, tasks: int) -> Iterator[None]:
    """So many tasks run until the block ends."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def task() -> None:
        begun.release()
        release.wait(WAIT_S)

    for _ in range(tasks):
        pool.submit(task, 1)
    for _ in range(tasks):
        assert begun.acquire(timeout=WAIT_S)
    try:
        yield
    finally:
        release.set()


def refused(pool: TransactionPool, size: int = 1) -> str:
    with pytest.raises(Unavailable) as refusal:
        pool.submit(lambda: None, size)
    return refusal.value.reason


def test_no_more_wait_than_were_allowed() -> None:
    pool = TransactionPool(threads=2, max_waiting=3, max_bytes=100)
    with blocked(pool, 2):
        for _ in range(3):
            pool.submit(lambda: None, 1)
        assert refused(pool) == "busy"
    assert pool.close(WAIT_S)


def test_no_more_bytes_wait_than_were_allowed() -> None:
    pool = TransactionPool(threads=2, max_waiting=100, max_bytes=10)
    with blocked(pool, 2):
        pool.submit(lambda: None, 8)
        assert refused(pool) == "busy"
    assert pool.close(WAIT_S)


def test_room_is_given_back() -> None:
    pool = TransactionPool(threads=1, max_waiting=0, max_bytes=1)
    for _ in range(20):
        done = threading.Event()
        while True:
            try:
                pool.submit(done.set, 1)
                break
            except Unavailable:
                threading.Event().wait(0.001)
        assert done.wait(WAIT_S)


def test_a_task_that_raises_ends_no_thread() -> None:
    pool = TransactionPool(threads=1, max_waiting=5, max_bytes=100)
    done = threading.Event()
    pool.submit(lambda: 1 // 0, 1)  # type: ignore[arg-type]
    pool.submit(done.set, 1)
    assert done.wait(WAIT_S)


def test_a_closed_pool_finishes_what_it_took_and_takes_nothing() -> None:
    pool = TransactionPool(threads=1, max_waiting=5, max_bytes=100)
    done = threading.Event()
    with blocked(pool, 1):
        pool.submit(done.set, 1)
        assert pool.close(0.05) is False
        assert refused(pool) == "stopping"
    assert pool.close(WAIT_S)
    assert done.is_set()


def test_an_outbox_gives_in_order_and_after_its_end_what_is_left() -> None:
    outbox = Outbox(2)
    assert outbox.put(b"1", 0)
    assert outbox.put(b"2", 0)
    outbox.close()
    assert outbox.put(b"3", 0) is False
    assert [outbox.take(0), outbox.take(0), outbox.take(0)] == [b"1", b"2", None]


def test_an_outbox_that_nobody_reads_takes_no_more() -> None:
    outbox = Outbox(1)
    outbox.put(b"1", 0)
    with pytest.raises(TimeoutError):
        outbox.put(b"2", 0.01)


def test_an_empty_outbox_waits_no_longer_than_asked() -> None:
    with pytest.raises(TimeoutError):
        Outbox(1).take(0.01)


def test_who_waits_for_room_gets_it_or_learns_of_the_end() -> None:
    outbox = Outbox(1)
    outbox.put(b"1", 0)
    told: list[bool] = []
    waiting = [threading.Thread(target=lambda: told.append(outbox.put(b"2", WAIT_S))) for _ in range(2)]
    for thread in waiting:
        thread.start()
    assert outbox.take(WAIT_S) == b"1"
    assert outbox.take(WAIT_S) == b"2"
    outbox.close()
    for thread in waiting:
        thread.join(WAIT_S)
    assert True in told
