"""Background work: one process of a node does it at a time, and another takes over when that one dies.

On SQLite a node is one process. On PostgreSQL several serve, and who holds the database's lock has the follower, the
sequencer, the anchorer and all the rest. Each transaction of theirs finds the lock still held by the same session, so
a process that lost it, and does not know yet, changes nothing any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from domain.errors import Unavailable
from node_service.background import Worker
from node_service.database.engine import Database, Lock

TRY_EVERY_S: Final = 1.0
_JOIN_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class Leading:
    """The background work of this process, as long as it leads.

    Args:
        lock: None: nobody else works with the database.
        make: makes the workers anew over a database; what they remember begins with what is committed then.
    """

    def __init__(self, database: Database, lock: Lock | None, make: Callable[[Database], Iterable[Worker]]) -> None:
        self._database, self._lock, self._make = database, lock, make
        self._workers: tuple[Worker, ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        database.after_commit(self.wake)

    def start(self) -> None:
        """Begin, or wait for the lock in a thread."""
        if self._lock is None:
            self._begin(self._database)
        else:
            self._thread = threading.Thread(target=self._run, args=[self._lock], name="yilian-leading", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Something was committed, by whichever process; returns at once."""
        for worker in self._workers:
            if worker.follows_commits:
                worker.wake()

    def ask_to_stop(self) -> None:
        """Let the work end after the piece that is being done."""
        self._stop.set()
        for worker in self._workers:
            worker.ask_to_stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if something is still at work."""
        if self._thread is None:
            return self._end(timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, lock: Lock) -> None:
        while not self._stop.is_set():
            try:
                self._turn(lock)
            except Exception as error:  # noqa: BLE001 - a thread that died with the lock would stop the node's work
                _LOG.error("leading failed (%s); another process may take over", type(error).__name__)
                self._let_go(lock)
            self._stop.wait(TRY_EVERY_S)
        self._let_go(lock)

    def _let_go(self, lock: Lock) -> None:
        while not self._end(_JOIN_S):
            pass
        lock.release()

    def _turn(self, lock: Lock) -> None:
        """Take the lock, or look whether it is still there."""
        if self._workers:
            if not lock.is_held() and self._end(_JOIN_S):
                _LOG.warning("this process leads no more: the database let go of its lock")
        elif self._takes(lock):
            _LOG.info("this process leads now")
            self._begin(self._database.led_by(lock.session))

    def _begin(self, database: Database) -> None:
        for worker in self._make(database):
            worker.start()
            self._workers = (*self._workers, worker)
        if self._stop.is_set():
            self.ask_to_stop()

    def _end(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        for worker in self._workers:
            worker.ask_to_stop()
        if not all(worker.join(max(0.0, deadline - time.monotonic())) for worker in self._workers):
            return False
        self._workers = ()
        return True

    @staticmethod
    def _takes(lock: Lock) -> bool:
        try:
            return lock.take()
        except Unavailable:
            return False
