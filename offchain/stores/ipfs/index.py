"""Which segment holds which object: a SQLite file beside the node, the only list of what the hospital has in IPFS.

IPFS itself gets no list: a directory there (MFS too) is a block like any other, and whoever learns its CID would read
the digests of all objects. The file is written after the segment is pinned and durable. If it is lost, it is made again
from the node's own pins, whose names stay in the node.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from offchain.stores.small_database import SmallDatabase

_PAGE: Final = 1_000
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS segment (
        id INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL, bytes INTEGER NOT NULL,
        leaving INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE IF NOT EXISTS object (
        digest TEXT NOT NULL, segment INTEGER NOT NULL REFERENCES segment(id), offset INTEGER NOT NULL,
        length INTEGER NOT NULL, chunks BLOB, put_at REAL NOT NULL, going INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (digest, segment)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS object_of_segment ON object (segment)",
    "CREATE INDEX IF NOT EXISTS object_by_age ON object (put_at)",
    "CREATE INDEX IF NOT EXISTS segment_leaving ON segment (leaving) WHERE leaving",
    "CREATE INDEX IF NOT EXISTS object_going ON object (going) WHERE going",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An object within a segment; ``chunks`` is its encoded chunk list, None where it has one chunk."""

    digest: str
    offset: int
    length: int
    chunks: bytes | None = field(repr=False)
    put_at: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A file in IPFS."""

    id: int
    cid: str
    total_bytes: int


class Index:
    """The list. Several threads and processes of one machine may use it; every change is durable on return."""

    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            Unavailable, Tampered: the file cannot be opened, or is damaged.
        """
        self._database = SmallDatabase(path, _SCHEMA)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def is_complete(self) -> bool:
        """False until somebody compared the index with the node: a new one knows nothing of what is there."""
        return bool(self._database.rows("SELECT 1 FROM note WHERE name = 'complete'"))

    def note_complete(self) -> None:
        """The index holds what the node holds."""
        with self._database.changing() as connection:
            connection.execute("INSERT OR IGNORE INTO note VALUES ('complete', '1')")

    def note_incomplete(self) -> None:
        """The node holds what the index does not know."""
        with self._database.changing() as connection:
            connection.execute("DELETE FROM note WHERE name = 'complete'")

    def find(self, digest: str) -> tuple[Segment, Entry] | None:
        """Where an object lies, unless it is being erased."""
        rows = self._database.rows(
            "SELECT s.id, s.cid, s.bytes, o.digest, o.offset, o.length, o.chunks, o.put_at FROM object o"
            " JOIN segment s ON s.id = o.segment WHERE o.digest = ? AND NOT o.going ORDER BY s.id DESC LIMIT 1",
            digest,
        )
        return None if not rows else (Segment(*rows[0][:3]), Entry(*rows[0][3:]))

    def digests(self, before: float | None = None) -> Iterator[str]:
        """All objects, or those put before a time (seconds since 1970)."""
        after, limit = "", float("inf") if before is None else before
        while True:
            rows = self._database.rows(
                "SELECT digest FROM object WHERE digest > ? AND NOT going GROUP BY digest HAVING MAX(put_at) < ?"
                " ORDER BY digest LIMIT ?",
                after, limit, _PAGE,
            )  # fmt: skip
            if not rows:
                return
            yield from (str(row[0]) for row in rows)
            after = str(rows[-1][0])

    def add(self, cid: str, total_bytes: int, entries: Sequence[Entry]) -> None:
        """Enter a segment that is pinned and durable."""
        with self._database.changing() as connection:
            _insert(connection, cid, total_bytes, entries)

    def adopt(self, cid: str, total_bytes: int, entries: Sequence[Entry]) -> None:
        """Enter a segment that was found in the node; what of it is being erased leaves it, too."""
        with self._database.changing() as connection:
            going = _going(connection, entries)
            _mark(connection, _insert(connection, cid, total_bytes, entries), going)
            _mark_leaving(connection)

    def touch(self, digest: str, at: float) -> None:
        """An object was put again."""
        with self._database.changing() as connection:
            connection.execute("UPDATE object SET put_at = ? WHERE digest = ? AND NOT going", (at, digest))

    def mark_going(self, digests: Collection[str], before: float | None = None) -> set[str]:
        """Nobody reads these any more; those put after ``before`` stay.

        Returns:
            Which of them were there, or are going since an earlier call that broke off.
        """
        limit = float("inf") if before is None else before
        marked: set[str] = set()
        with self._database.changing() as connection:
            for digest in digests:
                row = connection.execute("SELECT MAX(put_at) FROM object WHERE digest = ?", (digest,)).fetchone()
                if row[0] is not None and row[0] < limit:
                    connection.execute("UPDATE object SET going = 1 WHERE digest = ?", (digest,))
                    marked.add(digest)
            _mark_leaving(connection)
        return marked

    def is_going(self, digest: str) -> bool:
        """True if a segment has still to lose this object."""
        return bool(self._database.rows("SELECT 1 FROM object WHERE digest = ? AND going LIMIT 1", digest))

    def going_digests(self, segments: Sequence[Segment]) -> set[str]:
        """What these segments have still to lose."""
        query = "SELECT digest FROM object WHERE segment = ? AND going"
        return {str(row[0]) for segment in segments for row in self._database.rows(query, segment.id)}

    def other_places(self, digest: str, segment: Segment) -> list[tuple[Segment, Entry]]:
        """Where else an object lies that stays."""
        rows = self._database.rows(
            "SELECT s.id, s.cid, s.bytes, o.digest, o.offset, o.length, o.chunks, o.put_at FROM object o"
            " JOIN segment s ON s.id = o.segment WHERE o.digest = ? AND NOT o.going AND NOT s.leaving AND s.cid <> ?",
            digest, segment.cid,
        )  # fmt: skip
        return [(Segment(*row[:3]), Entry(*row[3:])) for row in rows]

    def broken_segments(self) -> list[Segment]:
        """Segments that hold objects to be erased beside others."""
        return self._segments("NOT leaving AND id IN (SELECT segment FROM object WHERE going)")

    def small_segments(self, max_bytes: int) -> list[tuple[Segment, int]]:
        """Segments that are worth packing together, each with the number of its objects."""
        rows = self._database.rows(
            "SELECT s.id, s.cid, s.bytes, COUNT(*) FROM segment s JOIN object o ON o.segment = s.id"
            " WHERE NOT s.leaving AND NOT o.going AND s.bytes <= ? GROUP BY s.id",
            max_bytes,
        )
        return [(Segment(*row[:3]), int(row[3])) for row in rows]

    def leaving_segments(self) -> list[Segment]:
        """Segments that have to leave the node."""
        return self._segments("leaving")

    def live_entries(self, segment: Segment) -> list[Entry]:
        """The objects of a segment that stay."""
        rows = self._database.rows(
            "SELECT digest, offset, length, chunks, put_at FROM object WHERE segment = ? AND NOT going ORDER BY offset",
            segment.id,
        )
        return [Entry(*row) for row in rows]

    def live_cids(self) -> set[str]:
        """The files that stay."""
        return {str(row[0]) for row in self._database.rows("SELECT cid FROM segment WHERE NOT leaving")}

    def cids(self) -> set[str]:
        """All files that are known, also those that have to leave."""
        return {str(row[0]) for row in self._database.rows("SELECT cid FROM segment")}

    def replace(self, old: Sequence[Segment], new: tuple[str, int] | None, entries: Sequence[Entry]) -> None:
        """Another segment (CID, bytes) holds from now on what stays of old ones, which leave; None: nothing stays.

        What began to be erased meanwhile is being erased from the new one, too.
        """
        with self._database.changing() as connection:
            if new is not None:
                going = _going(connection, entries)
                _mark(connection, _insert(connection, *new, entries), going)
            for segment in old:
                connection.execute("DELETE FROM object WHERE segment = ? AND NOT going", (segment.id,))
                connection.execute("UPDATE segment SET leaving = 1 WHERE id = ?", (segment.id,))

    def forget(self, segments: Sequence[Segment]) -> None:
        """These have left the node."""
        with self._database.changing() as connection:
            for segment in segments:
                connection.execute("DELETE FROM object WHERE segment = ?", (segment.id,))
                connection.execute("DELETE FROM segment WHERE id = ?", (segment.id,))

    def _segments(self, where: str, *values: object) -> list[Segment]:
        """``where`` is a text of this class."""
        query = f"SELECT id, cid, bytes FROM segment WHERE {where}"  # noqa: S608 - see above
        return [Segment(*row) for row in self._database.rows(query, *values)]


def _insert(connection: sqlite3.Connection, cid: str, total_bytes: int, entries: Sequence[Entry]) -> int | None:
    segment = connection.execute("INSERT INTO segment (cid, bytes) VALUES (?, ?)", (cid, total_bytes)).lastrowid
    connection.executemany(
        "INSERT INTO object (digest, segment, offset, length, chunks, put_at) VALUES (?, ?, ?, ?, ?, ?)",
        [(one.digest, segment, one.offset, one.length, one.chunks, one.put_at) for one in entries],
    )
    return segment


def _going(connection: sqlite3.Connection, entries: Sequence[Entry]) -> list[str]:
    """Which of these objects are being erased, and were not put again since."""
    query = "SELECT MIN(going) FROM object WHERE digest = ?"
    return [one.digest for one in entries if connection.execute(query, (one.digest,)).fetchone()[0]]


def _mark(connection: sqlite3.Connection, segment: int | None, going: Sequence[str]) -> None:
    changed = [(segment, digest) for digest in going]
    connection.executemany("UPDATE object SET going = 1 WHERE segment = ? AND digest = ?", changed)


def _mark_leaving(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE segment SET leaving = 1 WHERE NOT leaving AND id IN (SELECT segment FROM object WHERE going)"
        " AND NOT EXISTS (SELECT 1 FROM object o WHERE o.segment = segment.id AND NOT o.going)"
    )
