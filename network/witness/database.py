"""What a witness verified, on disk: log entries, write leaves, and when it first saw a block.

SQLite with WAL and ``synchronous=FULL``; a batch of blocks is one transaction, so a killed process leaves whole blocks.
What is read back is never believed: the chain is verified again at each start and compared with it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Invalid, Tampered, Unavailable

SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = 0x79697769
_SCHEMA: Final = """
CREATE TABLE entry (number INTEGER PRIMARY KEY, entry BLOB NOT NULL, seen_at TEXT NOT NULL) STRICT;
CREATE TABLE write_leaf (
    number INTEGER NOT NULL, position INTEGER NOT NULL, leaf BLOB NOT NULL,
    PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class WitnessedBlock:
    """One block as the witness keeps it: the bytes of its log entry, and of its write leaves in order."""

    number: int
    entry: bytes
    leaves: tuple[bytes, ...]


class WitnessDatabase:
    """The file ``witness.db``; made if it is not there. One connection, used under a lock.

    Raises:
        Tampered: the file is damaged, or a block is missing in it.
        Invalid: made by another program or a newer version.
        Unavailable: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        with _translated():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA trusted_schema=OFF")
            _prepare(self._connection)
            _check_whole(self._connection)
        self.size = self._count()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def entry(self, number: int) -> bytes | None:
        """The log entry of a block."""
        with self._reading() as connection:
            row = connection.execute("SELECT entry FROM entry WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def leaves(self, number: int) -> list[bytes]:
        """The write leaves of a block."""
        query = "SELECT leaf FROM write_leaf WHERE number = ? ORDER BY position"
        with self._reading() as connection:
            return [bytes(leaf) for (leaf,) in connection.execute(query, (number,))]

    def seen_at(self, number: int) -> str | None:
        """When the witness first saw a block, by its own clock."""
        with self._reading() as connection:
            row = connection.execute("SELECT seen_at FROM entry WHERE number = ?", (number,)).fetchone()
        return None if row is None else str(row[0])

    def append(self, blocks: Sequence[WitnessedBlock], seen_at: str) -> None:
        """Keep the blocks that follow those that are there, all or none.

        Raises:
            Tampered: they do not follow; somebody else writes this file.
        """
        if not blocks:
            return
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
                if [block.number for block in blocks] != list(range(count, count + len(blocks))):
                    raise Tampered(
                        "another process wrote the witness's database", reason="database", place="witness.db"
                    )
                connection.executemany(
                    "INSERT INTO entry VALUES (?, ?, ?)", [(block.number, block.entry, seen_at) for block in blocks]
                )
                rows = [(block.number, at, leaf) for block in blocks for at, leaf in enumerate(block.leaves)]
                connection.executemany("INSERT INTO write_leaf VALUES (?, ?, ?)", rows)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        self.size = blocks[-1].number + 1

    def _count(self) -> int:
        with self._reading() as connection:
            count, last = connection.execute("SELECT count(*), coalesce(max(number), -1) FROM entry").fetchone()
        if count != last + 1:
            raise Tampered("blocks are missing in the witness's database", reason="database", place="witness.db")
        return int(count)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated():
            yield self._connection


def _prepare(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, version) == (_APPLICATION_ID, SCHEMA_VERSION):
        return
    if tables or application not in (0, _APPLICATION_ID):
        raise Invalid("witness.db is of another program or version", reason="schema-version", place="witness.db")
    statements = "".join(
        f"{part};"
        for part in (_SCHEMA, f"PRAGMA application_id={_APPLICATION_ID}", f"PRAGMA user_version={SCHEMA_VERSION}")
    )
    connection.executescript(f"BEGIN IMMEDIATE; {statements} COMMIT;")


def _check_whole(connection: sqlite3.Connection) -> None:
    """Nothing of a damaged file is used: what was witnessed before would be compared with half of it."""
    if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise Tampered("witness.db is damaged", reason="database", place="witness.db")


@contextmanager
def _translated() -> Iterator[None]:
    """Turns SQLite's errors into ours: a damaged file is an alarm, everything else can be tried again later."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(f"witness.db: {error.sqlite_errorname}", reason="database") from error
    except sqlite3.DatabaseError as error:
        raise Tampered("witness.db is damaged", reason="database", place="witness.db") from error
