"""What a node remembers of the chain that it verified, so that it can go on from any block without beginning again.

A file (SQLite) holds each verified block's hashes and the few blocks whole that change what later ones are judged by:
configurations and contract definitions. The file is not believed: those blocks are verified again whenever they are
used, from the genesis digest on, and every further block must follow the hashes. What is lost of it in a crash is
verified again from the peer; so a commit does not wait for the disk.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Invalid, Tampered, Unavailable
from network.verifier.block_reader import BlockReader
from network.verifier.position import Position, Tip

SCHEMA_VERSION: Final = 2
FILE_MODE: Final = 0o600
_APPLICATION_ID: Final = 0x79696C74
_SCHEMA: Final = """
CREATE TABLE verified (
    number INTEGER PRIMARY KEY, header_hash BLOB NOT NULL, commit_hash BLOB NOT NULL, rules BLOB NOT NULL
) STRICT;
CREATE TABLE milestone (number INTEGER PRIMARY KEY, raw BLOB NOT NULL) STRICT;
"""


class Trail:
    """The file of one channel; made if it is not there. Threads share it, and so may processes.

    Raises:
        Tampered: the file is damaged, or says something else than the chain; it may be deleted, which costs nothing
            but time.
        Invalid: made by another program or a newer version.
        Unavailable: the disk refuses.
    """

    def __init__(self, path: Path, reader: BlockReader) -> None:
        self._reader = reader
        self._lock = threading.RLock()
        self._latest: Position | None = None
        with _translated():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(FILE_MODE)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA trusted_schema=OFF")
            _prepare(self._connection)
        self._check_whole()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def height(self) -> int:
        """The number of blocks that were verified."""
        with self._reading() as connection:
            (last,) = connection.execute("SELECT coalesce(max(number), -1) FROM verified").fetchone()
        return int(last) + 1

    def before(self, number: int) -> Position | None:
        """Where a reader stands that is to read a block next; None before the genesis block.

        Raises:
            Tampered: the file does not say what the chain says.
            Invalid: the block before was not verified yet.
        """
        if number == 0:
            return None
        with self._reading() as connection:
            tip = self._tip(connection, number - 1)
            rules = self._rules(connection, number - 1)
        return Position(tip, rules.config, rules.last_config, rules.definitions)

    def keep(self, raw: bytes, before: Position | None, after: Position) -> None:
        """Remember a verified block.

        Raises:
            Tampered: another block of that number was verified before.
        """
        tip = after.tip
        changes = before is None or not after.same_rules(before)
        with self._reading() as connection:
            row = connection.execute(
                "SELECT header_hash, commit_hash FROM verified WHERE number = ?", (tip.number,)
            ).fetchone()
            if row is None:
                self._insert(connection, raw if changes else None, tip, _digest(after))
            elif row != (tip.header_hash, tip.commit_hash):
                detail = "the peer shows another block than it showed before"
                raise Tampered(detail, reason="rewritten", place=f"block {tip.number}")
            if changes and (self._latest is None or self._latest.tip.number < tip.number):
                self._latest = after

    def _insert(self, connection: sqlite3.Connection, raw: bytes | None, tip: Tip, rules: bytes) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT OR IGNORE INTO verified VALUES (?, ?, ?, ?)",
            (tip.number, tip.header_hash, tip.commit_hash, rules),
        )
        if raw is not None:
            connection.execute("INSERT OR IGNORE INTO milestone VALUES (?, ?)", (tip.number, raw))
        connection.execute("COMMIT")

    def _rules(self, connection: sqlite3.Connection, number: int) -> Position:
        """What held after a block: the latest milestone up to it, verified with those before it."""
        latest = self._latest
        known = latest if latest is not None and latest.tip.number <= number else None
        rows = connection.execute(
            "SELECT number, raw FROM milestone WHERE number > ? AND number <= ? ORDER BY number",
            (-1 if known is None else known.tip.number, number),
        ).fetchall()
        for at, raw in rows:
            known = self._verified_again(connection, at, bytes(raw), known)
        if known is None:
            raise _false("the genesis block is missing")
        if (_digest(known),) != connection.execute("SELECT rules FROM verified WHERE number = ?", (number,)).fetchone():
            raise _false("a block that changed the rules is missing")
        if latest is None or latest.tip.number < known.tip.number:
            self._latest = known
        return known

    def _verified_again(
        self, connection: sqlite3.Connection, number: int, raw: bytes, known: Position | None
    ) -> Position:
        if (known is None) != (number == 0):
            raise _false("the genesis block is missing")
        before = None
        if known is not None:
            tip = self._tip(connection, number - 1)
            before = Position(tip, known.config, known.last_config, known.definitions)
        _, after = self._reader.read(raw, before)
        if after.tip != self._tip(connection, number):
            raise _false(f"block {number} has other hashes")
        return after

    def _tip(self, connection: sqlite3.Connection, number: int) -> Tip:
        row = connection.execute(
            "SELECT number, header_hash, commit_hash FROM verified WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            raise Invalid("the block before was not verified yet", reason="not-verified", place=f"block {number}")
        return Tip(*row)

    def _check_whole(self) -> None:
        with self._reading() as connection:
            count, last = connection.execute("SELECT count(*), coalesce(max(number), -1) FROM verified").fetchone()
        if count != last + 1:
            raise _false("blocks are missing")
        if count:
            self.before(count)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated():
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def _digest(position: Position) -> bytes:
    """Names the rules that hold after a block: the latest configuration block and all definitions."""
    digest = hashlib.sha256(position.last_config.to_bytes(8, "big"))
    for key, value in sorted(position.definitions.items()):
        for part in (key.encode(), value):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _false(detail: str) -> Tampered:
    return Tampered(f"the node's record of the chain is false: {detail}", reason="chain-file", place="chain.db")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another process of the node may be making it
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    elif application != _APPLICATION_ID or version != SCHEMA_VERSION:
        detail = "the node's record of the chain is of another program or version; delete it, it is made again"
        connection.execute("ROLLBACK")
        raise Invalid(detail, reason="schema-version", place="chain.db")
    connection.execute("COMMIT")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
        raise Unavailable("the node's record of the chain cannot be used", reason="chain-file") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise _false("the file is damaged") from error
