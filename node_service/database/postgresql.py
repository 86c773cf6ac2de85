"""PostgreSQL: transactions as the node means them, word between its processes, and a lock that one of them holds.

Writers queue up at one advisory lock, as they do on SQLite: each sees all that was committed before it, so what a
transaction looked at still holds when it commits. Readers see one moment and wait for nobody.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, Final
from weakref import WeakSet

import psycopg
from psycopg.errors import Diagnostic
from sqlalchemy import URL, Connection, Engine, create_engine, event

from domain.errors import Unavailable, YilianError
from node_service.database.engine import LEADER, READING

WRITER_LOCK: Final = 0x59494C57
"""Advisory lock that whoever writes holds until the commit ("YILW")."""
LEADER_LOCK: Final = 0x59494C4C
"""Advisory lock of the process that does the background work ("YILL")."""
CHANNEL: Final = "yilian"
BUSY_MS: Final = 10_000
CONNECT_S: Final = 5
POOL: Final = 10
LISTEN_S: Final = 0.5
ASKED_S: Final = 30.0
"""So long one connection is asked for the lock: the name of the server may lead to another one by then."""
MAX_TOLD_CHARACTERS: Final = 200
_KEEPALIVE: Final[Mapping[str, int]] = {
    "connect_timeout": CONNECT_S, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}  # fmt: skip
"""libpq's: a server whose machine vanished is given up within about five seconds."""
_OPTIONS: Final = (
    f"-c lock_timeout={BUSY_MS} -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000"
    " -c synchronous_commit=on -c timezone=UTC"
)
_OWN_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=20000 -c lock_timeout=15000"
    " -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c tcp_user_timeout=3000"
)
"""The server ends a session, and frees its lock, within about three seconds after the machine behind it vanished."""
_HOLDS: Final = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted"
    " AND classid = 0 AND objid = %s AND objsubid = 1 AND datname = current_database()"
    " AND pid || ' ' || extract(epoch FROM backend_start) = %s"
)
_OWN_SESSION: Final = (
    "SELECT pid || ' ' || extract(epoch FROM backend_start) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
_UNREPLICATED: Final[WeakSet[Any]] = WeakSet()
"""Connections whose commit was acknowledged by one server though a replica was to have it."""
_LOG: Final = logging.getLogger(__name__)


def postgresql_engine(url: URL) -> Engine:
    """An engine whose transactions queue up to write, and read one moment with the execution option ``READING``."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=BUSY_MS / 1000,
        connect_args={**_KEEPALIVE, "application_name": _name(), "options": _OPTIONS},
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "connect", _heed_warnings)
    engine.dialect.do_commit = _commit  # type: ignore[assignment]
    return engine


def _heed_warnings(connection: Any, _record: object) -> None:
    """Notes on the connection that a commit is on this server alone, which PostgreSQL says in a warning only."""

    def heed(told: Diagnostic) -> None:
        if told.severity_nonlocalized == "WARNING" and "synchronous replication" in (told.message_primary or ""):
            _UNREPLICATED.add(connection)

    connection.add_notice_handler(heed)


def _commit(connection: Any) -> None:
    """Commit; a wait for a synchronous replica that was given up is a failure, for a failover would lose the commit."""
    connection.commit()
    driver = getattr(connection, "dbapi_connection", connection)  # the pool's wrapper has the driver's
    if driver in _UNREPLICATED:
        _UNREPLICATED.discard(driver)
        raise psycopg.OperationalError("the commit is on no replica yet")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(READING):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK}), pg_notify('{CHANNEL}', '')")
    leader = options.get(LEADER)
    if leader is not None and not connection.exec_driver_sql(_HOLDS, (LEADER_LOCK, leader)).scalar_one():
        raise Unavailable("another process of the node does this work now", reason="not-leading")


class LeaderLock:
    """Held by one process of the node at a time; the server frees it when that process or its machine dies.

    Whoever took it first waits for the writer before him: what a leader before had begun is committed or was refused.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: psycopg.Connection[Any] | None = None
        self._since = 0.0
        self._session = ""

    @property
    def session(self) -> str:
        """The server's process that holds it and when it began; by it a leader's transactions find it still held."""
        return self._session

    def take(self) -> bool:
        """Take it if nobody has it; the connection is kept for the next tries.

        Raises:
            Unavailable: the server does not answer, or does not write now.
        """
        if self._session or time.monotonic() - self._since > ASKED_S:
            self.release()
        try:
            if self._connection is None:
                self._connection, self._since = _connect(self._engine), time.monotonic()
            if not _writes(self._connection):
                self.release()
                raise Unavailable("the database does not write now", reason="database")
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (LEADER_LOCK,)).fetchone()
            if row is None or not row[0]:
                return False
            waiting = "SELECT pg_advisory_lock(%s), pg_advisory_unlock(%s)"
            self._connection.execute(waiting, (WRITER_LOCK, WRITER_LOCK))
            row = self._connection.execute(_OWN_SESSION).fetchone()
        except psycopg.Error as error:
            self.release()
            raise Unavailable("the database cannot be asked", reason="database") from error
        self._session = "" if row is None else str(row[0])
        return True

    def is_held(self) -> bool:
        """Whether the session that holds it is still there, on a server that writes."""
        if self._connection is None or not self._session:
            return False
        with suppress(psycopg.Error):
            if _writes(self._connection):
                return True
        self.release()
        return False

    def release(self) -> None:
        """Leave it to somebody else."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection, self._session = None, ""


class NotificationListener:
    """A thread that hears what the node's processes commit and tell each other.

    Args:
        heard: called after commits of any process, with what was told; with None where nothing came for a while.
    """

    def __init__(self, engine: Engine, heard: Callable[[Mapping[str, Any] | None], object]) -> None:
        self._engine, self._heard = engine, heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="yilian-listener", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let it end."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if it is still there."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(_connect(self._engine)) as connection:  # closing waits for nothing, whatever broke
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._heard({})
                    while not self._stop.is_set():
                        self._hear(connection)
            except (psycopg.Error, YilianError):
                _LOG.warning("the database does not tell of commits; looking again")
                self._stop.wait(LISTEN_S)
            except Exception as error:  # noqa: BLE001 - a thread that died would leave requests waiting for commits
                _LOG.error("hearing of commits failed (%s); looking again", type(error).__name__)
                self._stop.wait(LISTEN_S)

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        payloads = [one.payload for one in connection.notifies(timeout=LISTEN_S, stop_after=1)]
        for payload in payloads:
            self._heard(_told(payload))
        if not payloads:
            self._heard(None)


def _writes(connection: psycopg.Connection[Any]) -> bool:
    """No replica, and no server that was made read-only because another one took over."""
    row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    return row is not None and row == (False, "off")


def tell(engine: Engine, told: Mapping[str, Any]) -> None:
    """As :meth:`node_service.database.engine.Database.tell`."""
    try:
        with _connect(engine) as connection:
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps(told)))
    except psycopg.Error as error:
        raise Unavailable("the database cannot be asked", reason="database") from error


def _name() -> str:
    """How the server's lists of sessions and locks name this process."""
    return f"yilian-node {os.getpid()}"


def _told(payload: str) -> Mapping[str, Any]:
    """What a process of the node told; anybody with access to the database may tell something else."""
    if not payload or len(payload) > MAX_TOLD_CHARACTERS:
        return {}
    try:
        told = json.loads(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _connect(engine: Engine) -> psycopg.Connection[Any]:
    """A connection beside the pool, each statement by itself."""
    arguments, named = engine.dialect.create_connect_args(engine.url)
    settings = {**named, **_KEEPALIVE, "application_name": _name(), "options": _OWN_OPTIONS}
    return psycopg.connect(*arguments, autocommit=True, **settings)
