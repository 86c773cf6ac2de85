"""Background work: each step in a thread of its own, retried with growing pauses, stopped in time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from domain.errors import OutcomeUnknown, Tampered, Unavailable, YilianError
from domain.instants import instant
from domain.ports import Clock
from node_service.database.engine import Database
from node_service.ledger_sync.alarm import raise_alarm

FIRST_PAUSE: Final = timedelta(milliseconds=200)
LONGEST_PAUSE: Final = timedelta(seconds=10)
PAUSE_AFTER_ALARM: Final = timedelta(seconds=10)
_LOG: Final = logging.getLogger("yilian.background")


class Step(Protocol):
    """Something that does a bounded piece of work and says when it wants to be called again."""

    def step(self, now: datetime) -> datetime:
        """Do one piece of work; return when to look again."""


class Worker:
    """One thread that calls one step."""

    def __init__(self, name: str, step: Step, clock: Clock, database: Database, failed: Callable[[str], None]) -> None:
        self.name = name
        self._step = step
        self._clock = clock
        self._database = database
        self._failed = failed
        self._stop = threading.Event()
        self._pause = FIRST_PAUSE
        self._thread = threading.Thread(target=self._run, name=f"yilian-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end after the piece of work that it is doing."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if the thread is still at work."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def turn(self, now: datetime) -> datetime:
        """One call of the step, whatever it raises; return when the next is due."""
        try:
            due = self._step.step(now)
        except Tampered as error:
            self._failed(self.name)
            self._alarm(error, now)
            return now + PAUSE_AFTER_ALARM
        except (Unavailable, OutcomeUnknown) as error:
            return self._later(now, error.reason)
        except YilianError as error:
            return self._later(now, f"{type(error).__name__} {error.reason}")
        except Exception as error:  # noqa: BLE001 - a thread that died would stop the node's work unnoticed
            return self._later(now, type(error).__name__)
        self._pause = FIRST_PAUSE
        return due

    def _run(self) -> None:
        while not self._stop.is_set():
            due = self.turn(self._clock.now())
            self._stop.wait(max(0.0, (due - self._clock.now()).total_seconds()))

    def _later(self, now: datetime, reason: str) -> datetime:
        self._failed(self.name)
        _LOG.warning("%s failed (%s); again in %.1f s", self.name, reason, self._pause.total_seconds())
        due, self._pause = now + self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return due

    def _alarm(self, error: Tampered, now: datetime) -> None:
        try:
            raise_alarm(self._database, self.name, error, instant(now))
        except YilianError as refused:
            _LOG.critical("the alarm of %s cannot be written: %s", self.name, refused.reason)
