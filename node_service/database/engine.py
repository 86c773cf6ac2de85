"""Opening the node's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Final, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from node_service.database.account_models import Staff as _Staff  # noqa: F401 - its tables are ours too
from node_service.database.erasure_models import ErasureCase as _ErasureCase  # noqa: F401 - its tables are ours too
from node_service.database.group_commit import GroupCommit, Row
from node_service.database.models import AccessRow
from node_service.database.scrub_models import ScrubPass as _ScrubPass  # noqa: F401 - its tables are ours too
from node_service.database.upload_models import ResumableUpload as _Upload  # noqa: F401 - its table is ours too
from node_service.database.witness_models import BlockHeader as _BlockHeader  # noqa: F401 - its tables are ours too

READING: Final = "yilian_reading"
LEADER: Final = "yilian_leader"
"""Execution options: the connection only reads; it writes while this session of the server holds the leader's lock."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CHECKPOINT = "yilian_checkpoint"
_BUSY_MS = 10_000
_CHECKPOINT_BUSY_MS = 250
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}", "secure_delete=ON")
_READ_ONLY = "25006"
_DAMAGED_STATES = ("XX001", "XX002")
_INSERT_ACCESS_ROWS = insert(AccessRow.__table__)  # type: ignore[arg-type]


class Lock(Protocol):
    """Makes one process of the node the one that does the background work."""

    @property
    def session(self) -> str:
        """By which each transaction of the leader finds it still held."""

    def take(self) -> bool:
        """Take it if nobody has it."""

    def is_held(self) -> bool:
        """Whether it is still held."""

    def release(self) -> None:
        """Leave it to somebody else."""


class Listener(Protocol):
    """A thread that hears what the node's processes commit and tell each other."""

    def start(self) -> None:
        """Begin."""

    def ask_to_stop(self) -> None:
        """Let it end."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if it is still there."""


class Database:
    """A pool of connections; every unit of work is one transaction.

    Attributes:
        access_rows: where rows of the access log go in, many requests' rows in one commit.
    """

    def __init__(self, url: str) -> None:
        self._open(_engine(url))
        self._listeners: list[Callable[[], object]] = []

    def _open(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reading_engine = self.engine.execution_options(**{READING: True})
        self._readers = sessionmaker(self._reading_engine, expire_on_commit=False)
        self.access_rows = GroupCommit(self._insert_access_rows)

    @property
    def is_shared(self) -> bool:
        """Whether several processes of the node may work with it at once."""
        return self.engine.dialect.name == "postgresql"

    def led_by(self, session: str) -> Database:
        """The same for background work: it writes only as long as this session of the server holds the leader's lock.

        What it writes otherwise is Unavailable (``not-leading``), for another process does that work by then.
        """
        led = copy(self)
        led._open(self.engine.execution_options(**{LEADER: session}))
        return led

    def leader_lock(self) -> Lock | None:
        """The lock of the process that does the background work; None where no other process is."""
        if not self.is_shared:
            return None
        from node_service.database.postgresql import LeaderLock  # noqa: PLC0415 - as in _engine

        return LeaderLock(self.engine)

    def listener(self, heard: Callable[[Mapping[str, Any] | None], object]) -> Listener | None:
        """Calls ``heard`` after commits of any process, with what one told, or with None now and then.

        Returns:
            None where no other process is.
        """
        if not self.is_shared:
            return None
        from node_service.database.postgresql import NotificationListener  # noqa: PLC0415 - as in _engine

        return NotificationListener(self.engine, heard)

    def tell(self, told: Mapping[str, Any]) -> None:
        """Tell all processes of the node something small; nobody need hear it.

        Raises:
            Unavailable: the database is gone.
        """
        if self.is_shared:
            from node_service.database.postgresql import tell  # noqa: PLC0415 - as in _engine

            tell(self.engine, told)

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
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("the database cannot do this now", reason="database") from error
    except DBAPIError as error:
        if isinstance(error, DataError):
            raise Invalid(
                "a value is too long, or has characters that the database does not keep", reason="database-value"
            ) from error
        if isinstance(error, IntegrityError):
            raise Conflict("a row of the database is in the way", reason="integrity") from error
        if getattr(error.orig, "sqlstate", None) == _READ_ONLY:
            raise Unavailable("the database is a replica now", reason="database") from error
        if _is_damage(error.orig):
            raise Tampered("the database is damaged", reason="database-damaged", place="database") from error
        raise


def _is_damage(error: object) -> bool:
    """SQLite's result code, PostgreSQL's SQLSTATE class XX (internal error: a page or an index cannot be read)."""
    code, state = getattr(error, "sqlite_errorcode", 0) & 0xFF, getattr(error, "sqlstate", None) or ""
    return code in _DAMAGED or state in _DAMAGED_STATES


def _engine(url: str) -> Engine:
    made = make_url(url)
    if made.get_backend_name() != "postgresql":
        return _sqlite(made)
    from node_service.database.postgresql import postgresql_engine  # noqa: PLC0415 - loads a driver that SQLite needs not

    return postgresql_engine(made)


def _sqlite(url: URL) -> Engine:
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
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
