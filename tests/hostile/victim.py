"""A hospital's node as a process of its own, to be attacked over the network, and what must not change in it."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from yilian.demo.network import Hospital

SECRET: Final = b"Zyxqwv-hostile"
"""Stands in every hostile input; it is found afterwards in no answer and in no file."""

MAX_ANSWER_S: Final = 10.0
"""Two seconds on a machine that does nothing else; a reader that hangs takes minutes."""

MAX_RESIDENT_BYTES: Final = 500 << 20
_PIECE_BYTES: Final = 1 << 20
_SOCKET_TIMEOUT_S: Final = 30.0
_PASSING_TABLES: Final = ("access_token", "used_nonce")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 where the connection was closed without an answer."""

    status: int
    head: bytes
    body: bytes
    seconds: float

    @property
    def is_problem(self) -> bool:
        """Whether the answer is a refusal of the product's own form."""
        return b"application/problem+json" in self.head or b"application/fhir+json" in self.head


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node keeps: rows by table, objects of the store with their sizes."""

    rows: dict[str, int]
    objects: dict[str, int]

    def beside(self, other: Kept) -> list[str]:
        """What one has and the other has not."""
        mine, theirs = ({*one.rows.items(), *one.objects.items()} for one in (self, other))
        return sorted(f"{name} {count}" for name, count in mine ^ theirs)


@dataclass(slots=True)
class Victim:
    """A running node and the tokens of its staff by role."""

    hospital: Hospital
    tokens: dict[str, str] = field(repr=False)

    @property
    def process_id(self) -> int:
        """The process that serves."""
        assert self.hospital.process is not None
        return self.hospital.process.pid

    def headers(self, role: str, **more: str) -> dict[str, str]:
        """Headers of a request by somebody of the role; nobody in particular where it is empty."""
        return {**({"Authorization": f"Bearer {self.tokens[role]}"} if role else {}), **more}

    def send(self, method: str, path: str, headers: dict[str, str], body: Iterable[bytes] = ()) -> Answer:
        """Send a request as it is, without the good manners of a client, and wait for the answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: victim", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return self.send_raw([head, *body])

    def post(self, path: str, role: str, media_type: str, body: bytes, method: str = "POST") -> Answer:
        """Send a body with its length."""
        headers = self.headers(role, **{"Content-Type": media_type, "Content-Length": str(len(body))})
        pieces = (body[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES))
        return self.send(method, path, {**headers, "Connection": "close"}, pieces)

    def send_raw(self, pieces: Iterable[bytes]) -> Answer:
        """Send bytes; the clock runs from the last one that the node took."""
        with socket.create_connection(("127.0.0.1", self.hospital.port), timeout=_SOCKET_TIMEOUT_S) as connection:
            begun = time.monotonic()
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    connection.sendall(piece)
                    begun = time.monotonic()
            received = bytearray()
            with suppress(ConnectionResetError):
                while b"\r\n\r\n" not in received or not _is_whole(bytes(received)):
                    piece = connection.recv(1 << 16)
                    if not piece:
                        break
                    received += piece
            return _answer(bytes(received), time.monotonic() - begun)

    def peak_resident_bytes(self) -> int:
        """The most memory that the process held since :meth:`forget_peak`."""
        lines = Path(f"/proc/{self.process_id}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    def forget_peak(self) -> None:
        """Measure from now on (Linux, proc_pid_clear_refs(5))."""
        Path(f"/proc/{self.process_id}/clear_refs").write_text("5")

    def kept(self) -> Kept:
        """What the node keeps now."""
        folder = self.hospital.folder
        with sqlite3.connect(f"file:{folder / 'node.db'}?mode=ro", uri=True) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {
                name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - from the schema
                for name in names
                if name not in _PASSING_TABLES
            }
        files = (path for path in (folder / "objects").rglob("*") if path.is_file())
        return Kept(rows, {str(path.relative_to(folder)): path.stat().st_size for path in files})

    def wait_idle(self) -> Kept:
        """What the node keeps once nothing waits any more."""
        deadline, before = time.monotonic() + 30, self.kept()
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.kept()
            if now == before and now.rows["outbox"] == 0:
                return now
            before = now
        raise AssertionError("the node does not come to rest")

    def files_with_secret(self) -> list[str]:
        """The files of the node, its log among them, that hold what an attacker sent."""
        paths = (path for path in self.hospital.folder.parent.rglob("*") if path.is_file())
        return sorted(path.name for path in paths if SECRET in path.read_bytes())

    @contextmanager
    def unharmed(self, *, answers_within_s: float = MAX_ANSWER_S) -> Iterator[None]:
        """Claims about an attack within: others are answered in time, memory is bounded, nothing is kept of it."""
        before = self.wait_idle()
        self.forget_peak()
        with self._asked_meanwhile() as slowest:
            yield
        assert self.peak_resident_bytes() <= MAX_RESIDENT_BYTES, "the node took too much memory"
        assert slowest() <= answers_within_s, "the node did not answer others in time"
        assert self.wait_idle().beside(before) == [], "something of a refused request was kept"

    @contextmanager
    def _asked_meanwhile(self) -> Iterator[Callable[[], float]]:
        """Somebody else keeps asking; gives how long the slowest answer took."""
        stop, waits = threading.Event(), [0.0]

        def ask() -> None:
            with httpx.Client(base_url=self.hospital.url, trust_env=False, timeout=60) as http:
                while not stop.is_set():
                    begun = time.monotonic()
                    with suppress(httpx.TransportError):
                        if http.get("/health").status_code == 503:
                            continue
                    waits.append(time.monotonic() - begun)
                    stop.wait(0.02)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield lambda: max(waits)
        finally:
            stop.set()
            asking.join()


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces in chunked transfer coding (RFC 9112 section 7.1), without an end."""
    for piece in pieces:
        yield b"%x\r\n" % len(piece) + piece + b"\r\n"


def _answer(received: bytes, seconds: float) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, head, body, seconds)


def _is_whole(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False
