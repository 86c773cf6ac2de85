"""The threads that run the synchronous contract: a fixed number, and a bounded queue before them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from domain.errors import Unavailable

Task = Callable[[], None]
_LOG = logging.getLogger(__name__)


class TransactionPool:
    """Runs transactions at once, and refuses more rather than grow.

    Args:
        threads: transactions that run at once; most of their time they wait for the peer.
        max_waiting: transactions that wait for a thread.
        max_bytes: of all requests that wait or run.
    """

    def __init__(self, *, threads: int, max_waiting: int, max_bytes: int) -> None:
        self._max_tasks = threads + max_waiting
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[Task, int]] = deque()
        self._tasks = 0
        self._bytes = 0
        self._is_closed = False
        self._changed = threading.Condition()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"contract-{number}", daemon=True).start()

    def submit(self, task: Task, size_bytes: int) -> None:
        """Run a task that never raises, soon.

        Raises:
            Unavailable: there is no room (``busy``), or the service stops (``stopping``).
        """
        with self._changed:
            if self._is_closed:
                raise Unavailable("the contract's service is stopping", reason="stopping")
            if self._tasks >= self._max_tasks or self._bytes + size_bytes > self._max_bytes:
                raise Unavailable("the contract's service is busy", reason="busy")
            self._tasks += 1
            self._bytes += size_bytes
            self._waiting.append((task, size_bytes))
            self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Take no more; False if what was taken is not done in time."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._tasks, timeout_s)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            task, size = taken
            try:
                task()
            except Exception as error:  # noqa: BLE001 - one transaction's end must not be this thread's
                _LOG.error("a transaction could not be ended: %s", type(error).__name__)
            finally:
                self._done(size)

    def _take(self) -> tuple[Task, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return self._waiting.popleft() if self._waiting else None

    def _done(self, size: int) -> None:
        with self._changed:
            self._tasks -= 1
            self._bytes -= size
            if not self._tasks:
                self._changed.notify_all()
