"""Threads that compute take turns: Python runs one at a time anyway, and makes two that compete slower than one.

Each lets the other go at every statement of SQLite and every file, which costs a switch of threads each time; sixteen
readers so took half again as much of the processor for a read as one does. A turn is a courtesy: it is given up while a
commit is waited for, and whoever keeps it for longer is no longer waited for, so nothing that blocks holds up the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_S: Final = 0.01


class Turns:
    """Whose turn it is; threads share it."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._changed = threading.Condition(threading.Lock())
        self._holder: object | None = None
        self._until = 0.0
        self._own = threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, or until whoever has it has had it for long; not within another one."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Let others compute while this thread, if it has a turn, waits for something."""
        if not self._give():
            yield
            return
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        self._own.turn = mine = object()
        with self._changed:
            while self._holder is not None and (left := self._until - time.monotonic()) > 0:
                self._changed.wait(left)
            self._holder, self._until = mine, time.monotonic() + self._longest_s

    def _give(self) -> bool:
        """Whether there was one to give, even if it had ended."""
        mine = getattr(self._own, "turn", None)
        if mine is None:
            return False
        self._own.turn = None
        with self._changed:
            if self._holder is mine:
                self._holder = None
                self._changed.notify()
        return True


TURNS: Final = Turns()
"""Of this process, as the interpreter's lock is."""
