"""The SQLite file: schema, connections, and the translation of what SQLite says into the errors of the product.

WAL with ``synchronous=FULL``: a commit that returned is on the disk; a killed process leaves the last commit. Each
connection is used by one thread at a time, borrowed from a pool; every process opens its own.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from domain.errors import Invalid, Tampered, Unavailable

SCHEMA_VERSION = 1
READ_TIMEOUT_S = 5.0
MAX_IDLE_CONNECTIONS = 64
_RETRY_S = (0.0005, 0.004)
_APPLICATION_ID = 0x79696C69

_SCHEMA = """
CREATE TABLE block (
    number INTEGER PRIMARY KEY, header_hash BLOB NOT NULL, commit_hash BLOB NOT NULL, raw BLOB NOT NULL) STRICT;
CREATE TABLE state (
    namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, block INTEGER NOT NULL, tx INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    namespace TEXT NOT NULL, key BLOB NOT NULL, block INTEGER NOT NULL, tx INTEGER NOT NULL,
    tx_id TEXT NOT NULL, timestamp_ns INTEGER NOT NULL, value BLOB,
    PRIMARY KEY (namespace, key, block, tx)) STRICT, WITHOUT ROWID;
CREATE TABLE tx (
    tx_id TEXT PRIMARY KEY, block INTEGER NOT NULL, tx INTEGER NOT NULL, code INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


@contextmanager
def translated() -> Iterator[None]:
    """Turns SQLite's errors into ours: a damaged file is an alarm, everything else can be tried again later.

    Raises:
        Tampered: the file is not a database any more.
        Unavailable: locked, disk full, unreadable and the like.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(f"ledger.db: {error.sqlite_errorname}", reason="ledger-unavailable") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise Tampered("ledger.db is damaged", reason="ledger-damaged", place="ledger.db") from error


class Database:
    """Connections to one ``ledger.db``.

    Raises:
        Invalid: made by a newer version of this product, or no ledger at all.
        Unavailable: not there or not readable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        with self.connection() as connection:
            _check_schema(connection)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Borrows a connection for one thread; given back even after an error, without an open transaction."""
        with translated():
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection within a read transaction: everything read is of one moment."""
        with self.connection() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self, timeout_s: float, commit_failed: Callable[[], Exception]) -> Iterator[sqlite3.Connection]:
        """A connection that holds the only write lock; committed at the end, rolled back after an error.

        ``commit_failed`` makes the error for a COMMIT that failed: what it wrote may reappear after a crash.

        Raises:
            Unavailable: other processes held the lock for ``timeout_s``.
        """
        with self.connection() as connection:
            _lock_for_writing(connection, time.monotonic() + timeout_s)
            yield connection
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise commit_failed() from error

    def close(self) -> None:
        """Closes the connections; those still borrowed are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise Unavailable("the ledger is closed", reason="ledger-closed")
            if self._idle:
                return self._idle.pop()
        return _connect(self._path, "rw")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                connection.close()
                return
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


def create_database(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Makes ``ledger.db`` with its first content in one transaction.

    Raises:
        Unavailable: the disk refuses.
    """
    with translated(), closing(_connect(path, "rwc")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement)
        fill(connection)
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=READ_TIMEOUT_S, cached_statements=64
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _check_schema(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise Invalid("this file is no ledger", reason="not-a-ledger", place="ledger.db")
    if version != SCHEMA_VERSION:
        raise Invalid(
            f"ledger.db has schema {version}, this version reads {SCHEMA_VERSION}; use the version that made it",
            reason="schema-version",
            place="ledger.db",
        )


def _lock_for_writing(connection: sqlite3.Connection, deadline: float) -> None:
    """SQLite's own waiting sleeps up to 100 ms at a time; commits take 2 ms, so short random sleeps are fairer."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(*_RETRY_S))  # noqa: S311 - spreads waiting processes, no secret
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(READ_TIMEOUT_S * 1000)}")
