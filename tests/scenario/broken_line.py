"""A line to a node that breaks every so many bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_PIECE_BYTES: Final = 1 << 16
_ACCEPT_S: Final = 0.2


class BrokenLine:
    """Passes connections on to a port of this machine; each breaks after so many bytes to the node.

    Attributes:
        breaks: how often it broke.
    """

    def __init__(self, port: int, after_bytes: int) -> None:
        self.breaks = 0
        self._port = port
        self._after_bytes = after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_ACCEPT_S)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """End it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                for call in (self._there, self._back):
                    self._threads.append(threading.Thread(target=call, args=(near, far)))
                    self._threads[-1].start()

    def _there(self, near: socket.socket, far: socket.socket) -> None:
        passed = 0
        with near, far, suppress(OSError):
            while passed < self._after_bytes:
                piece = near.recv(_PIECE_BYTES)
                if not piece:
                    return
                far.sendall(piece)
                passed += len(piece)
            self.breaks += 1
            far.shutdown(socket.SHUT_RDWR)
            near.shutdown(socket.SHUT_RDWR)

    def _back(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := far.recv(_PIECE_BYTES):
                near.sendall(piece)
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


@contextmanager
def broken_line(port: int, after_bytes: int) -> Iterator[BrokenLine]:
    """A line while the block runs."""
    line = BrokenLine(port, after_bytes)
    try:
        yield line
    finally:
        line.close()
