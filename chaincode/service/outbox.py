"""What waits to be written to one stream. gRPC allows one writer; everybody else puts here."""

from __future__ import annotations

import threading
from collections import deque


class Outbox:
    """A bounded queue of encoded messages with an end.

    Args:
        capacity: messages that may wait; more come only from a peer that asks and does not read.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[bytes] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, raw: bytes, timeout_s: float) -> bool:
        """Queue a message; False if the stream has ended.

        Raises:
            TimeoutError: there was no room in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) < self._capacity or self._is_closed, timeout_s):
                raise TimeoutError
            if self._is_closed:
                return False
            self._waiting.append(raw)
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float | None = None) -> bytes | None:
        """The next message; None after the last one of a closed outbox.

        Raises:
            TimeoutError: there is none in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout_s):
                raise TimeoutError
            if not self._waiting:
                return None
            self._changed.notify_all()
            return self._waiting.popleft()

    def close(self) -> None:
        """Take no more; what is queued can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
