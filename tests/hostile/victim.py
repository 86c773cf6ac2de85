"""A hospital's node as a process of its own, to be attacked over the network, and what must not change in it."""

from __future__ import annotations

import mmap
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import httpx

from node_service.access_log.fsck import check
from node_service.composition import build
from node_service.records.scrub import check_objects
from node_service.settings import Settings
from tests.cpu import is_frugal
from tests.files_at_work import files_below, size
from yilian.demo.network import Hospital

SECRET: Final = b"Zyxqwv-hostile"
"""Stands in every hostile input; it is found afterwards in no answer and in no file."""

MAX_CPU_S: Final = 2.0
"""What a refusal, or the answer to somebody else meanwhile, may cost the node. Its own time on a processor and not the
clock: a test machine that does other things at the same time neither hides nor invents a slow reader."""

MAX_HANG_S: Final = 2.0
"""How long somebody else waits meanwhile, on a machine where nothing waits for a processor."""

MAX_ANSWER_S: Final = 60.0
"""A reader that waits instead of working; on a machine that does much else besides."""

MAX_RESIDENT_BYTES: Final = 500 << 20
_PIECE_BYTES: Final = 1 << 20
_SOCKET_TIMEOUT_S: Final = 120.0
_ASK_EVERY_S: Final = 0.25
_REST_S: Final = 0.7
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PASSING_TABLES: Final = ("access_token", "used_nonce")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 where the connection was closed without an answer; what it cost the node."""

    status: int
    head: bytes
    body: bytes
    seconds: float
    cpu_s: float

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
class Meanwhile:
    """What somebody else noticed during an attack: the most that the node worked, and that they waited, each time."""

    cpu_s: float = 0.0
    waited_s: float = 0.0
    failures: list[Exception] = field(default_factory=list)


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
        return self.send_raw(chain((head,), body))

    def post(self, path: str, role: str, media_type: str, body: bytes, method: str = "POST", **more: str) -> Answer:
        """Send a body with its length, and with more headers."""
        headers = self.headers(role, **{"Content-Type": media_type, "Content-Length": str(len(body)), **more})
        pieces = (body[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES))
        return self.send(method, path, {**headers, "Connection": "close"}, pieces)

    def send_raw(self, pieces: Iterable[bytes]) -> Answer:
        """Send bytes and read at the same time, until an answer is there; its clock runs from the last piece taken.

        What was not sent when the answer came is not sent any more, so the pieces may have no end.
        """
        with socket.create_connection(("127.0.0.1", self.hospital.port), timeout=_SOCKET_TIMEOUT_S) as connection:
            begun, before, received = [time.monotonic()], self.cpu_s(), bytearray()

            def push() -> None:
                with suppress(ConnectionError):
                    for piece in pieces:
                        connection.sendall(piece)
                        begun.append(time.monotonic())

            sending = threading.Thread(target=push)
            sending.start()
            with suppress(ConnectionError):
                while b"\r\n\r\n" not in received or not _is_whole(bytes(received)):
                    piece = connection.recv(1 << 16)
                    if not piece:
                        break
                    received += piece
            answer = _answer(bytes(received), time.monotonic() - begun[-1], self.cpu_s() - before)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sending.join()
            return answer

    def cpu_s(self) -> float:
        """Processor time of the process until now, in the kernel included (Linux, proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

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
        files = files_below(folder / "objects")
        return Kept(rows, {str(path.relative_to(folder)): size(path) for path in files})

    def wait_idle(self, rest_s: float = _REST_S) -> Kept:
        """What the node keeps once nothing waits any more, and nothing came for a while."""
        deadline, before = time.monotonic() + 30, self.kept()
        while time.monotonic() < deadline:
            time.sleep(rest_s)
            now = self.kept()
            if now == before and now.rows["outbox"] == 0:
                return now
            before = now
        raise AssertionError("the node does not come to rest")

    def files_with_secret(self) -> list[str]:
        """The files of the node, its log among them, that hold what an attacker sent."""
        return sorted(path.name for path in files_below(self.hospital.folder.parent) if _holds_secret(path))

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Claims about an attack within: as :meth:`bounded`, and nothing is kept of it."""
        before = self.wait_idle()
        with self.bounded():
            yield
        assert self.wait_idle().beside(before) == [], "something of a refused request was kept"

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Claims about what is done within: others are answered in time, memory is bounded."""
        self.forget_peak()
        with self._asked_meanwhile() as meanwhile:
            yield
        assert self.peak_resident_bytes() <= MAX_RESIDENT_BYTES, "the node took too much memory"
        assert meanwhile.failures == [], "somebody else was not answered"
        assert is_frugal(meanwhile.cpu_s, MAX_CPU_S), "the node worked on something else before it answered others"
        assert is_frugal(meanwhile.waited_s, MAX_HANG_S), f"somebody else waited for {meanwhile.waited_s} s"

    def check_sound(self) -> None:
        """Claim that every stored object and every row of the logs still verifies (as ``yilian audit fsck``)."""
        running = build(Settings.from_environment(self.hospital.environment))
        try:
            assert check(running.node).findings == ()
            assert check_objects(running.node) == []
        finally:
            running.resources.close()

    @contextmanager
    def _asked_meanwhile(self) -> Iterator[Meanwhile]:
        """Somebody else keeps asking on a connection of their own."""
        stop, meanwhile = threading.Event(), Meanwhile()

        def ask() -> None:
            with httpx.Client(base_url=self.hospital.url, trust_env=False, timeout=MAX_ANSWER_S) as http:
                while not stop.is_set():
                    cpu_s, begun, queued_s = self.cpu_s(), time.monotonic(), self._queued_s()
                    try:
                        assert http.get("/health").status_code == 200
                    except (httpx.TransportError, AssertionError) as error:
                        meanwhile.failures.append(error)
                    waited_s = time.monotonic() - begun - max(self._queued_s() - queued_s, 0)
                    meanwhile.waited_s = max(meanwhile.waited_s, waited_s)
                    meanwhile.cpu_s = max(meanwhile.cpu_s, self.cpu_s() - cpu_s)
                    stop.wait(_ASK_EVERY_S)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield meanwhile
        finally:
            stop.set()
            asking.join()

    def _queued_s(self) -> float:
        """How long the node's threads and this one have waited for a processor (Linux, sched-stats)."""
        tasks = [Path("/proc/thread-self"), *Path(f"/proc/{self.process_id}/task").iterdir()]
        return sum(map(_run_delay_s, tasks))


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces in chunked transfer coding (RFC 9112 section 7.1), without an end."""
    for piece in pieces:
        yield b"%x\r\n" % len(piece) + piece + b"\r\n"


def _run_delay_s(task: Path) -> float:
    """Nothing of a thread that has ended."""
    try:
        return int((task / "schedstat").read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _holds_secret(path: Path) -> bool:
    """Without reading a large file into memory."""
    if not size(path):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(SECRET) >= 0


def _answer(received: bytes, seconds: float, cpu_s: float) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, head, body, seconds, cpu_s)


def _is_whole(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False
