"""A listener of the scenarios: a thread that takes events from a stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from network.fabric.gateway import EventStream, GatewayError

_T = TypeVar("_T")

EVENT_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
BEGIN_TIMEOUT_S = 2.0
ATTEMPTS = 15


class Listener(Generic[_T]):
    """Takes every event until it is closed or the stream breaks."""

    def __init__(self, stream: EventStream[_T]) -> None:
        self.error: GatewayError | None = None
        self._stream = stream
        self._events: queue.Queue[_T] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def begin(self, cause: Callable[[], object]) -> None:
        """Causes events until one arrives: only then is it sure that later ones will, too."""
        for _ in range(ATTEMPTS):
            cause()
            try:
                self._events.get(timeout=BEGIN_TIMEOUT_S)
            except queue.Empty:
                continue
            return
        raise AssertionError("the listener hears nothing")

    def next(self) -> _T:
        return self._events.get(timeout=EVENT_TIMEOUT_S)

    def wait_for(self, wanted: Callable[[_T], bool]) -> _T:
        """The first event that is wanted; others before it are skipped."""
        while not wanted(event := self.next()):
            continue
        return event

    def close(self) -> None:
        self._stream.close()
        self.wait_for_end()

    def wait_for_end(self) -> None:
        self._thread.join(END_TIMEOUT_S)
        assert not self._thread.is_alive(), "the listener's thread did not end"

    def _listen(self) -> None:
        try:
            for event in self._stream:
                self._events.put(event)
        except GatewayError as error:
            self.error = error
