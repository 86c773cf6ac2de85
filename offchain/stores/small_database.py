"""A small SQLite file beside a store: several threads and processes of one machine, durable when a change returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from domain.errors import Tampered, Unavailable

BUSY_TIMEOUT_S: Final = 10.0
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON")


class SmallDatabase:
    """One file with its own connection per thread."""

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        """Open or make it.

        Raises:
            Unavailable, Tampered: the file cannot be opened, or is damaged.
        """
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        with self.changing() as connection:
            for statement in schema:
                connection.execute(statement)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
            self._local = threading.local()

    def rows(self, query: str, *values: object) -> list[Any]:
        """What a query gives.

        Raises:
            Unavailable, Tampered: the file cannot be read, or is damaged.
        """
        with self._errors():
            return self._connection().execute(query, values).fetchall()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; it waits for others.

        Raises:
            Unavailable, Tampered: nothing was changed.
        """
        with self._errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection = connection
            with self._lock:
                self._opened.append(connection)
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            reason = "disk-full" if full else "index"
            raise Unavailable(f"{self._path.name} cannot be used", reason=reason) from error
        except sqlite3.DatabaseError as error:
            raise Tampered(f"{self._path.name} is damaged", reason="index", place=self._path.name) from error
