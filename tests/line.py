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
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""``SO_LINGER``: the other side hears of a reset."""


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
    _open: set[socket.socket] = field(default_factory=set)
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
        self.breaks += len(ending) // 2
        for one in ending:
            _reset(one)

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
        with self._lock:
            self._open |= {near, far}
        for ends in ((near, far, self.after_bytes), (far, near, None)):
            threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, bytes_left: int | None) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                self._flows.wait()
                time.sleep(self._pause_s)
                sink.sendall(piece)
                self.passed += len(piece)
                bytes_left = None if bytes_left is None else bytes_left - len(piece)
                if bytes_left is not None and bytes_left <= 0:
                    self._break(source, sink)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _break(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open -= set(ends)
        self.breaks += 1
        for one in ends:
            _reset(one)


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
