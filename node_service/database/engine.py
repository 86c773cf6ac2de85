"""Opening the node's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from domain.errors import Conflict, Tampered, Unavailable
from node_service.database.account_models import Staff as _Staff  # noqa: F401 - its tables are ours too
from node_service.database.erasure_models import ErasureCase as _ErasureCase  # noqa: F401 - its tables are ours too
from node_service.database.group_commit import GroupCommit, Row
from node_service.database.models import AccessRow
from node_service.database.scrub_models import ScrubPass as _ScrubPass  # noqa: F401 - its tables are ours too
from node_service.database.witness_models import BlockHeader as _BlockHeader  # noqa: F401 - its tables are ours too

_READING = "yilian_reading"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CHECKPOINT = "yilian_checkpoint"
_BUSY_MS = 10_000
_CHECKPOINT_BUSY_MS = 250
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}", "secure_delete=ON")
_INSERT_ACCESS_ROWS = insert(AccessRow.__table__)  # type: ignore[arg-type]


class Database:
    """A pool of connections; every unit of work is one transaction.

    Attributes:
        access_rows: where rows of the access log go in, many requests' rows in one commit.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reading_engine = self.engine.execution_options(**{_READING: True})
        self._readers = sessionmaker(self._reading_engine, expire_on_commit=False)
        self._listeners: list[Callable[[], object]] = []
        self.access_rows = GroupCommit(self._insert_access_rows)

    def after_commit(self, listener: Callable[[], object]) -> None:
        """Call this after each commit of this process, in the thread that committed; it must return at once."""
        self._listeners.append(listener)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any error.

        Raises:
            Unavailable: the database is locked, full or gone.
            Conflict: a constraint does not hold.
            Tampered: the file is damaged.
        """
        with _translated(), self._sessions.begin() as session:
            yield session
        self._committed()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view for reading.

        Raises:
            Unavailable: the database is locked or gone.
            Tampered: the file is damaged.
        """
        with _translated(), self._readers() as session:
            yield session

    @contextmanager
    def rows(self) -> Iterator[Connection]:
        """As :meth:`reading`, for statements that ask for columns: without the object mapper's cost.

        Raises:
            Unavailable: the database is locked or gone.
            Tampered: the file is damaged.
        """
        with _translated(), self._reading_engine.connect() as connection:
            yield connection

    def _insert_access_rows(self, rows: Sequence[Row]) -> None:
        with _translated(), self.engine.begin() as connection:
            connection.execute(_INSERT_ACCESS_ROWS, rows)
        self._committed()

    def _committed(self) -> None:
        for listener in self._listeners:
            listener()

    def truncate_log(self) -> bool:
        """Empty SQLite's write-ahead log, so that pages from before a deletion lie nowhere; false if a reader is busy.

        Other databases do this by themselves; their logs and archives are the administrator's (docs/operations.md).
        """
        if self.engine.dialect.name != "sqlite":
            return True
        with _translated(), self.engine.connect().execution_options(**{_CHECKPOINT: True}) as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_CHECKPOINT_BUSY_MS}")  # writers wait as long
            try:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
        return not busy

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable("the database cannot do this now", reason="database") from error
    except DBAPIError as error:
        if type(error).__name__ == "IntegrityError":
            raise Conflict("a row of the database is in the way", reason="integrity") from error
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise Tampered("the database is damaged", reason="database-damaged", place="database") from error
        raise


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": 10}, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    """WAL, fully synchronised: a commit that was answered survives a power cut. What is deleted is overwritten."""
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Writers begin immediately, so that two of them queue up instead of failing on the upgrade of a read lock."""
    if connection.get_execution_options().get(_CHECKPOINT):
        return  # no checkpoint within a transaction
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
