"""Where the objects of a PDF file lie: cross-reference tables and streams (ISO 32000-1, 7.5.4 and 7.5.8).

No row is read but those that are asked for, and no section older than the one that has what is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from node_service.documents.pdf_syntax import Dictionary, Effort, Unreadable, dictionary, integer, object_at, stream

_TABLE: Final = re.compile(rb"\s{0,8}xref\s{1,8}")
_SUBSECTION: Final = re.compile(rb"(\d{1,10}) {1,4}(\d{1,10})\s{1,4}")
_ROW: Final = re.compile(rb"(\d{10}) \d{5} ([nf])[ \r\n]{1,2}")
_TRAILER: Final = re.compile(rb"\s{0,8}trailer")
_NUMBERS: Final = re.compile(rb"\d{1,10}")
_UP: Final = 2
"""Each byte is the difference to the one above it (PNG, 9.2), as all writers have it."""


@dataclass(frozen=True, slots=True)
class Place:
    """An object at a position of the file, or at an index within an object stream."""

    at: int
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive objects: the first number, how many, and where their rows begin; each row has so many bytes."""

    first: int
    count: int
    at: int
    row_bytes: int

    def row(self, number: int) -> int | None:
        """Where the row of this object begins."""
        index = number - self.first
        return self.at + index * self.row_bytes if 0 <= index < self.count else None


@dataclass(frozen=True, slots=True)
class Table:
    """A section in text."""

    trailer: Dictionary = field(repr=False)
    parts: tuple[Part, ...]
    text: bytes = field(repr=False)

    def find(self, number: int) -> Place | None:
        """Where the object lies by this section.

        Raises:
            Unreadable: the object is free, or its row is broken.
        """
        for at in filter(None, (part.row(number) for part in self.parts)):
            row = _ROW.match(self.text, at)
            if row is None or row[2] != b"n":
                raise Unreadable
            return Place(int(row[1]))
        return None


@dataclass(frozen=True, slots=True)
class Stream:
    """A section in binary: parts of rows, of which each field has its width; predicted rows begin with their filter."""

    trailer: Dictionary = field(repr=False)
    parts: tuple[Part, ...]
    rows: bytes = field(repr=False)
    widths: tuple[int, int, int]
    predicted: bool

    def find(self, number: int) -> Place | None:
        """As :meth:`Table.find`."""
        for at in (part.row(number) for part in self.parts):
            if at is not None:
                return self._place(self._row(at))
        return None

    def _row(self, at: int) -> bytes:
        size = sum(self.widths) + self.predicted
        row = self.rows[at : at + size]
        if not self.predicted or len(row) < size:
            return row
        columns = [self.rows[column : at + size : size] for column in range(size)]
        if columns[0].count(_UP) < len(columns[0]):
            raise Unreadable
        return bytes(sum(column) & 0xFF for column in columns[1:])

    def _place(self, row: bytes) -> Place:
        kind, second, third = self.widths
        if len(row) < sum(self.widths):
            raise Unreadable
        value = int.from_bytes(row[kind : kind + second], "big")
        match int.from_bytes(row[:kind], "big") if kind else 1:
            case 1:
                return Place(value)
            case 2:
                return Place(int.from_bytes(row[kind + second : kind + second + third], "big"), value)
        raise Unreadable


Section = Table | Stream


def sections(text: bytes, at: int, effort: Effort) -> Iterator[Section]:
    """The sections from the newest to the oldest; a circle of them ends where the effort does.

    Raises:
        Unreadable: no section is where one should be, or its dictionary is broken.
    """
    waiting = [at]
    while waiting:
        effort.spend()
        at = waiting.pop()
        table = _TABLE.match(text, at)
        section = _table(text, table.end(), effort) if table else _stream(text, at, effort)
        waiting += [integer(section.trailer, name) for name in (b"/Prev", b"/XRefStm") if name in section.trailer]
        yield section


def _table(text: bytes, at: int, effort: Effort) -> Table:
    parts = []
    while begin := _SUBSECTION.match(text, at):
        effort.spend(begin.end() - at)
        row = _ROW.match(text, begin.end())
        part = Part(int(begin[1]), int(begin[2]), begin.end(), len(row[0]) if row else 0)
        at = part.at + part.count * part.row_bytes
        parts.append(part)
    end = _TRAILER.match(text, at)
    if end is None:
        raise Unreadable
    trailer, _ = dictionary(text, end.end(), effort)
    return Table(trailer, tuple(parts), text)


def _stream(text: bytes, at: int, effort: Effort) -> Stream:
    _, begin = object_at(text, at)
    trailer, end = dictionary(text, begin, effort)
    widths = [int(width) for width in _NUMBERS.findall(trailer.get(b"/W", b""))]
    if trailer.get(b"/Type") != b"/XRef" or len(widths) != 3 or not 0 < sum(widths) <= 32:
        raise Unreadable
    predicted = _is_predicted(trailer, sum(widths), effort)
    rows = stream(text, trailer, end, effort)
    parts = tuple(_parts(trailer, sum(widths) + predicted, effort))
    return Stream(trailer, parts, rows, (widths[0], widths[1], widths[2]), predicted)


def _parts(trailer: Dictionary, row_bytes: int, effort: Effort) -> Iterator[Part]:
    index = _NUMBERS.findall(trailer.get(b"/Index", b"")) or [b"0", b"%d" % integer(trailer, b"/Size")]
    at = 0
    for first, count in zip(index[::2], index[1::2], strict=False):
        effort.spend()
        part = Part(int(first), int(count), at, row_bytes)
        at += part.count * row_bytes
        yield part


def _is_predicted(trailer: Dictionary, columns: int, effort: Effort) -> bool:
    said = trailer.get(b"/DecodeParms", b"null").strip(b"[] \r\n")
    parameters = dictionary(said, 0, effort)[0] if said != b"null" else {}
    if parameters.get(b"/Predictor", b"1") == b"1":
        return False
    if integer(parameters, b"/Columns") != columns:
        raise Unreadable
    return True
