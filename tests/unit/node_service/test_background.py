from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import OutcomeUnknown, Tampered, Unavailable
from node_service.background import FIRST_PAUSE, LONGEST_PAUSE, PAUSE_AFTER_ALARM, Worker
from node_service.database.engine import Database
from node_service.database.migrations import upgrade
from node_service.ledger_sync.alarm import alarms

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


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
