"""A line between two processes of this machine that is cut, stands still, becomes slow, or breaks again and again."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_PIECE_BYTES: Final = 1 << 16
_ACCEPT_S: Final = 0.2
_JOIN_S: Final = 10.0
_LOOK_S: Final = 0.2
"""So often a thread that waits for a side looks whether its connection was reset."""

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""``SO_LINGER``: the other side hears of a reset."""


@dataclass(eq=False)
class _Connection:
    """Two sockets and the two threads that pass on between them.

    Only the last thread to leave closes: a number that is closed under a thread at work may belong to somebody else's
    socket by the time the thread uses it.
    """

    near: socket.socket
    far: socket.socket
    is_reset: bool = False
    _threads: int = 2
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for one in (self.near, self.far):
            one.settimeout(_LOOK_S)

    def reset(self) -> None:
        """Both sides hear of a reset as soon as the threads have left."""
        self.is_reset = True
        for one in (self.near, self.far):
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                one.shutdown(socket.SHUT_RD)  # wakes who waits for it

    def receive(self, source: socket.socket) -> bytes:
        """Nothing at the end."""
        while not self.is_reset:
            with suppress(TimeoutError):
                return source.recv(_PIECE_BYTES)
        return b""

    def send(self, sink: socket.socket, piece: bytes) -> None:
        """All of it, unless the connection is reset."""
        rest = memoryview(piece)
        while rest and not self.is_reset:
            with suppress(TimeoutError):
                rest = rest[sink.send(rest) :]

    def wait_for(self, event: threading.Event) -> None:
        """Until it is set or the connection is reset."""
        while not event.wait(_LOOK_S) and not self.is_reset:
            pass

    def leave(self) -> bool:
        """Of a thread; true for the last one, after which nothing is left."""
        with self._lock:
            self._threads -= 1
            if self._threads:
                return False
        self.near.close()
        self.far.close()
        return True


@dataclass
class Line:
    """Passes connections on to a port of this machine.

    Attributes:
        target: the port; until it is named nobody gets through.
        after_bytes: each connection is reset after so many bytes to the port; None if never.
        passed: bytes that went through, both ways.
        breaks: connections that were reset.
    """

    target: int | None = None
    after_bytes: int | None = None
    passed: int = 0
    breaks: int = 0
    _pause_s: float = 0.0
    _is_cut: bool = False
    _flows: threading.Event = field(default_factory=threading.Event)
    _healed: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _open: set[_Connection] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(_ACCEPT_S)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Every connection is reset, and every new one."""
        self._is_cut = True
        self.reset()

    def stand_still(self) -> None:
        """Connections stay, and new ones are taken; nothing comes through. What was sent comes later."""
        self._flows.clear()

    def slow_down(self, pause_s: float) -> None:
        """Every piece takes so long, each way."""
        self._pause_s = pause_s

    def reset(self) -> None:
        """Every connection of this moment is reset."""
        with self._lock:
            ending, self._open = self._open, set()
        self.breaks += len(ending)
        for one in ending:
            one.reset()

    def reset_every(self, seconds: float) -> None:
        """Every connection is reset, again and again."""
        self._healed.clear()

        def again() -> None:
            while not self._healed.wait(seconds):
                self.reset()

        threading.Thread(target=again, daemon=True).start()

    def heal(self) -> None:
        """As it was."""
        self._is_cut, self._pause_s = False, 0.0
        self._healed.set()
        self._flows.set()

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self.heal()
        self.reset()
        self._accepting.join(_JOIN_S)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                near, _ = self._listener.accept()
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        if self._is_cut or self.target is None:
            _reset(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            _reset(near)
            return
        connection = _Connection(near, far)
        with self._lock:
            self._open.add(connection)
        for ends in ((near, far, self.after_bytes), (far, near, None)):
            threading.Thread(target=self._pass_on, args=(connection, *ends), daemon=True).start()

    def _pass_on(
        self, connection: _Connection, source: socket.socket, sink: socket.socket, bytes_left: int | None
    ) -> None:
        with suppress(OSError):
            while piece := connection.receive(source):
                connection.wait_for(self._flows)
                time.sleep(self._pause_s)
                connection.send(sink, piece)
                self.passed += len(piece)
                bytes_left = None if bytes_left is None else bytes_left - len(piece)
                if bytes_left is not None and bytes_left <= 0:
                    self._break(connection)
        with suppress(OSError):
            if not connection.is_reset:
                sink.shutdown(socket.SHUT_WR)
        if connection.leave():
            with self._lock:
                self._open.discard(connection)

    def _break(self, connection: _Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        self.breaks += 1
        connection.reset()


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        one.shutdown(socket.SHUT_RD)
    one.close()


@contextmanager
def line(target: int | None = None, after_bytes: int | None = None) -> Iterator[Line]:
    """A line that is closed in the end."""
    opened = Line(target, after_bytes)
    try:
        yield opened
    finally:
        opened.close()
