from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, Tampered, Unavailable
from node_service.background import FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WATCH_S, PAUSE_AFTER_ALARM, Worker
from node_service.database.engine import Database
from node_service.database.migrations import upgrade
from node_service.ledger_sync.alarm import alarms

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WITHIN_S = 10


class Fixed:
    def now(self) -> datetime:
        return NOW


class Scripted:
    """A step that raises what it is told, or answers when it is due."""

    def __init__(self, *script: Exception | datetime) -> None:
        self._script = list(script)

    def step(self, now: datetime) -> datetime:
        told = self._script.pop(0)
        if isinstance(told, Exception):
            raise told
        return told


class Counted:
    """A step that is due in an hour; each turn waits until it is let, and its time is noted."""

    def __init__(self, first: Exception | None = None) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.times: list[float] = []
        self._first = first

    def step(self, now: datetime) -> datetime:
        self.times.append(time.monotonic())
        self.began.release()
        assert self.may_end.acquire(timeout=WITHIN_S)
        error, self._first = self._first, None
        if error is not None:
            raise error
        return now + timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    upgrade(url)
    database = Database(url)
    yield database
    database.close()


def worker(database: Database, step: Scripted, failed: list[str]) -> Worker:
    return Worker("anchorer", step, Fixed(), database, failed.append)


def test_a_step_is_called_again_when_it_says(database: Database) -> None:
    due = NOW + timedelta(seconds=7)
    assert worker(database, Scripted(due), []).turn(NOW) == due


def test_a_failing_step_is_retried_with_growing_pauses_up_to_a_limit(database: Database) -> None:
    failed: list[str] = []
    errors: list[Exception] = [Unavailable("down"), OutcomeUnknown("?", tx_id="t"), RuntimeError("bug")] * 4
    failing = worker(database, Scripted(*errors), failed)
    pauses = [failing.turn(NOW) - NOW for _ in errors]
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE
    assert len(failed) == len(errors)


def test_a_success_makes_the_next_pause_short_again(database: Database) -> None:
    failing = worker(database, Scripted(Unavailable("a"), Unavailable("b"), NOW, Unavailable("c")), [])
    pauses = [failing.turn(NOW) - NOW for _ in range(4)]
    assert pauses[3] == FIRST_PAUSE


def test_what_does_not_verify_raises_an_alarm_that_lasts(database: Database) -> None:
    failing = worker(database, Scripted(Tampered("a flipped bit", reason="root", place="records")), [])
    assert failing.turn(NOW) == NOW + PAUSE_AFTER_ALARM
    with database.reading() as session:
        (alarm,) = alarms(session)
    assert (alarm.name, alarm.reason, alarm.place) == ("anchorer", "root", "records")


def test_a_thread_ends_soon_after_it_is_asked_to(database: Database) -> None:
    sleeping = worker(database, Scripted(NOW + timedelta(hours=1)), [])
    sleeping.start()
    sleeping.ask_to_stop()
    assert sleeping.join(5)


@pytest.fixture
def running(database: Database) -> Iterator[Callable[..., Worker]]:
    """Makes workers that are ended after the test."""
    made: list[tuple[Worker, Counted]] = []

    def run(step: Counted, **rest: Any) -> Worker:
        worker = Worker("anchorer", step, Fixed(), database, lambda _name: None, **rest)
        made.append((worker, step))
        worker.start()
        return worker

    yield run
    for worker, step in made:
        worker.ask_to_stop()
        step.may_end.release(100)
        assert worker.join(WITHIN_S)


def test_a_commit_wakes_a_step_that_is_due_much_later(running: Callable[..., Worker]) -> None:
    step = Counted()
    worker = running(step)
    step.may_end.release(2)
    assert step.began.acquire(timeout=WITHIN_S)
    worker.wake()
    assert step.began.acquire(timeout=WITHIN_S)


class SetBack:
    """A clock that is set back by a day after it was first read."""

    def __init__(self) -> None:
        self._reads = iter((NOW,))

    def now(self) -> datetime:
        return next(self._reads, NOW - timedelta(days=1))


class Again:
    """A step that is due again at once."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)

    def step(self, now: datetime) -> datetime:
        self.turns.release()
        return now + timedelta(milliseconds=1)


def test_a_clock_that_is_set_back_during_a_turn_puts_no_worker_to_sleep(database: Database) -> None:
    step = Again()
    worker = Worker("anchorer", step, SetBack(), database, lambda _name: None)
    worker.start()
    try:
        assert step.turns.acquire(timeout=WITHIN_S)
        assert step.turns.acquire(timeout=WITHIN_S)
    finally:
        worker.ask_to_stop()
        assert worker.join(WITHIN_S)


def test_a_commit_during_a_turn_is_not_overlooked(running: Callable[..., Worker]) -> None:
    step = Counted()
    worker = running(step)
    assert step.began.acquire(timeout=WITHIN_S)
    worker.wake()
    step.may_end.release(2)
    assert step.began.acquire(timeout=WITHIN_S)


def test_many_commits_are_one_turn_for_each_quiet_time(running: Callable[..., Worker]) -> None:
    step, quiet_s = Counted(), 0.2
    worker = running(step, quiet=timedelta(seconds=quiet_s))
    step.may_end.release(4)
    for _ in range(3):
        assert step.began.acquire(timeout=WITHIN_S)
        worker.wake()
        worker.wake()
    assert step.began.acquire(timeout=WITHIN_S)
    assert all(after - before >= quiet_s * 0.95 for before, after in zip(step.times, step.times[1:], strict=False))


def test_a_commit_does_not_shorten_the_pause_after_a_failure(running: Callable[..., Worker]) -> None:
    step = Counted(Unavailable("down"))
    worker = running(step)
    assert step.began.acquire(timeout=WITHIN_S)
    step.may_end.release(2)
    worker.wake()
    assert step.began.acquire(timeout=WITHIN_S)
    assert step.times[1] - step.times[0] >= FIRST_PAUSE.total_seconds() * 0.95


def test_a_watch_that_fails_or_sees_nothing_leads_to_the_next_turn(running: Callable[..., Worker]) -> None:
    step = Counted()
    asked: list[float] = []

    def watch(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 1:
            raise Unavailable("the file cannot be read")

    running(step, watch=watch)
    step.may_end.release(3)
    for _ in range(3):
        assert step.began.acquire(timeout=WITHIN_S)
    assert asked[:2] == [LONGEST_WATCH_S, LONGEST_WATCH_S]
