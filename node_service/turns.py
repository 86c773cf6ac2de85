"""Threads that compute take turns: Python runs one at a time anyway, and makes two that compete slower than one.

Each lets the other go at every statement of SQLite and every file, which costs a switch of threads each time; sixteen
readers so took half again as much of the processor for a read as one does. A turn is a courtesy, given in the order of
asking. It is given up while a commit is waited for; whatever else blocks within a turn holds up the rest for as long as
:data:`LONGEST_S` at most, because whoever keeps it for longer is no longer waited for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_S: Final = 0.005
"""As long as the interpreter itself lets one thread compute while another one waits."""


class _Turn:
    """One thread's, from asking for it on; ``woken`` when it begins, and when it is the next."""

    __slots__ = ("begun", "woken")

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.begun: float | None = None


class Turns:
    """Whose turn it is; threads share it."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._holder: _Turn | None = None
        self._waiting: deque[_Turn] = deque()
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
        self._own.turn = mine = _Turn()
        with self._lock:
            if self._holder is None:
                self._begin(mine)
                return
            self._waiting.append(mine)
        left: float | None = 0.0
        while True:
            mine.woken.wait(left)
            with self._lock:
                left = self._left(mine)
                if left is not None and left <= 0:
                    self._next()
                if mine.begun is not None:
                    return
                mine.woken.clear()

    def _give(self) -> bool:
        """Whether there was one to give, even if it had ended."""
        mine: _Turn | None = getattr(self._own, "turn", None)
        if mine is None:
            return False
        self._own.turn = None
        with self._lock:
            if self._holder is mine:
                self._next()
        return True

    def _left(self, turn: _Turn) -> float | None:
        """How long the next one waits at most; None for those behind it."""
        if self._holder is None or self._holder.begun is None or not self._waiting or self._waiting[0] is not turn:
            return None
        return self._holder.begun + self._longest_s - time.monotonic()

    def _next(self) -> None:
        self._holder = None
        if self._waiting:
            self._begin(self._waiting.popleft())
        if self._waiting:
            self._waiting[0].woken.set()

    def _begin(self, turn: _Turn) -> None:
        self._holder, turn.begun = turn, time.monotonic()
        turn.woken.set()


TURNS: Final = Turns()
"""Of this process, as the interpreter's lock is."""
