"""Background work: each step in a thread of its own, woken by commits, retried with growing pauses, stopped in time.

A step says when it is due whatever happens. A worker that is woken calls it earlier, when something was committed since
its last turn began, but not more often than its quiet time says: an idle node sleeps, a busy one works in batches.
"""

from __future__ import annotations

import logging
import threading
import time
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
LONGEST_WATCH_S: Final = 0.5
_LOG: Final = logging.getLogger("yilian.background")


class Step(Protocol):
    """Something that does a bounded piece of work and says when it wants to be called again."""

    def step(self, now: datetime) -> datetime:
        """Do one piece of work; return when to look again."""


class Worker:
    """One thread that calls one step.

    Args:
        name: of the thread, and of the alarm that the step may raise.
        failed: told the name at each failure.
        quiet: least time between two turns, unless the step itself is due earlier; nothing shortens a failure's pause.
        follows_commits: whether commits wake it; who starts it sees to that.
        watch: sleeps up to so many seconds, at most until there is something to do for the step; by default until
            :meth:`wake` is called.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        clock: Clock,
        database: Database,
        failed: Callable[[str], None],
        *,
        quiet: timedelta = timedelta(),
        follows_commits: bool = False,
        watch: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.follows_commits = follows_commits
        self._step = step
        self._clock = clock
        self._database = database
        self._failed = failed
        self._quiet_s = quiet.total_seconds()
        self._watch = watch
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._pause = FIRST_PAUSE
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name=f"yilian-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end after the piece of work that it is doing."""
        self._stop.set()
        self._woken.set()

    def wake(self) -> None:
        """Something was committed that may concern the step; called by any thread, returns at once."""
        if not self._woken.is_set():
            self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if the thread is still at work."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def turn(self, now: datetime) -> datetime:
        """One call of the step, whatever it raises; return when the next is due."""
        self._has_failed = True
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
        self._has_failed = False
        return due

    def _run(self) -> None:
        while not self._stop.is_set():
            self._woken.clear()  # before the turn: what is committed during it wakes for the next
            if self._stop.is_set():
                return
            now, began = self._clock.now(), time.monotonic()
            pause = (self.turn(now) - now).total_seconds()  # by the turn's own clock: it may be set during the turn
            self._rest(max(0.0, pause - (time.monotonic() - began)))

    def _rest(self, seconds: float) -> None:
        quiet = seconds if self._has_failed else min(seconds, self._quiet_s)
        if self._stop.wait(quiet) or quiet == seconds:
            return
        if self._watch is None:
            self._woken.wait(seconds - quiet)
            return
        try:
            self._watch(min(seconds - quiet, LONGEST_WATCH_S))
        except Exception:  # noqa: BLE001 - the step meets the same fault and reports it
            self._stop.wait(FIRST_PAUSE.total_seconds())

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
