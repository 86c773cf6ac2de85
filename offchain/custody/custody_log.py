"""The custody log: one line of JCS per call, durable before any key is handed out, with running totals."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain import jcs
from domain.checks import check_integer
from domain.errors import Invalid, Tampered
from domain.identifiers import check_code, check_identifier
from domain.instants import check_instant
from domain.ports import CustodyCount, CustodyEntry, CustodyRecord
from offchain.disk import Disk, disk_errors

_MAX_LINE_BYTES: Final = 4096
_READ_BYTES: Final = 1 << 20


class CustodyLog:
    """An append-only file, shared by the processes of one node under a lock."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk

    def append(self, entry: CustodyEntry, released: int) -> CustodyCount:
        """Write one entry and wait for the disk; return the new totals.

        Raises:
            Unavailable: the disk failed; the entry does not count.
            Tampered: the end of the log cannot be read.
        """
        with self._locked() as descriptor:
            before, end = self._last(descriptor)
            total = CustodyCount(before.entries + 1, before.evaluated + entry.evaluated, before.released + released)
            line = jcs.canonical(_fields(entry, released, total)) + b"\n"
            self._disk.write_at_end(descriptor, end, line)
            return total

    def count(self) -> CustodyCount:
        """The totals.

        Raises:
            Tampered: the end of the log cannot be read.
        """
        with self._locked() as descriptor:
            return self._last(descriptor)[0]

    def history(self) -> Iterator[CustodyRecord]:
        """All entries that are whole now, oldest first, each compared with the totals of the one before.

        Raises:
            Unavailable: the disk failed.
            Tampered: an entry cannot be read, or its totals do not follow; ``place`` names it.
        """
        with self._locked() as descriptor:
            _, end = self._last(descriptor)
        before = CustodyCount(0, 0, 0)
        for number, line in enumerate(self._lines(end), start=1):
            record = _record(line, f"entry {number}")
            if record.total != _added(before, record):
                detail = "the totals of the custody log do not follow from the entry before"
                raise Tampered(detail, reason="custody-log", place=f"entry {number}")
            before = record.total
            yield record

    def _lines(self, end: int) -> Iterator[bytes]:
        """The lines up to ``end``, read piece by piece: the log grows for ever."""
        if not end:
            return
        rest = b""
        with self._disk.opened(self._path) as descriptor:
            for start in range(0, end, _READ_BYTES):
                lines = (rest + self._disk.read_at(descriptor, start, min(_READ_BYTES, end - start))).split(b"\n")
                rest = lines.pop()
                yield from lines
        if rest:
            raise Tampered("the custody log became shorter while it was read", reason="custody-log", place="end")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        with disk_errors("opening the custody log"):
            existed = self._path.exists()
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not existed:
                self._disk.sync_directory(self._path.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _last(self, descriptor: int) -> tuple[CustodyCount, int]:
        """Totals of the last whole line and where it ends; what a crash left behind it was never acknowledged."""
        size = os.fstat(descriptor).st_size
        start = max(0, size - 2 * _MAX_LINE_BYTES)
        tail = self._disk.read_at(descriptor, start, size - start)
        end = tail.rfind(b"\n") + 1
        if end == 0:
            if start:
                raise Tampered("the custody log has no readable end", reason="custody-log")
            return CustodyCount(0, 0, 0), 0
        line = tail[tail.rfind(b"\n", 0, end - 1) + 1 : end - 1]
        return _totals(line), start + end


def _fields(entry: CustodyEntry, released: int, total: CustodyCount) -> jcs.JsonObject:
    return {
        "at": entry.at,
        "entryId": entry.entry_id,
        "evaluated": entry.evaluated,
        "purpose": entry.purpose,
        "released": released,
        "total": {"entries": total.entries, "evaluated": total.evaluated, "released": total.released},
    }


def _totals(line: bytes) -> CustodyCount:
    try:
        total = jcs.parse_object(line, max_bytes=_MAX_LINE_BYTES).get("total")
    except Invalid as error:
        raise Tampered("the last entry of the custody log cannot be read", reason="custody-log") from error
    numbers = [total.get(name) for name in ("entries", "evaluated", "released")] if isinstance(total, dict) else []
    if len(numbers) != 3 or not all(isinstance(number, int) for number in numbers):
        raise Tampered("the last entry of the custody log has no totals", reason="custody-log")
    entries, evaluated, released = (number for number in numbers if isinstance(number, int))
    return CustodyCount(entries, evaluated, released)


def _added(before: CustodyCount, record: CustodyRecord) -> CustodyCount:
    evaluated, released = record.entry.evaluated, record.released
    return CustodyCount(before.entries + 1, before.evaluated + evaluated, before.released + released)


def _record(line: bytes, place: str) -> CustodyRecord:
    try:
        fields = jcs.parse_object(line, max_bytes=_MAX_LINE_BYTES)
        evaluated = check_integer(fields.get("evaluated"), "evaluated")
        entry = CustodyEntry(
            check_identifier(fields.get("entryId"), "entryId"), check_code(fields.get("purpose"), "purpose"),
            evaluated, check_instant(fields.get("at"), "at"),
        )  # fmt: skip
        return CustodyRecord(entry, check_integer(fields.get("released"), "released", high=evaluated), _totals(line))
    except Invalid as error:
        raise Tampered("an entry of the custody log cannot be read", reason="custody-log", place=place) from error
