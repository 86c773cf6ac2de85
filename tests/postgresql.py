"""PostgreSQL for tests: Debian's server on a Unix socket, and every node's database in it where TESTS_DATABASE says so.

With ``TESTS_DATABASE=postgresql`` each SQLite file that a test opens through :mod:`node_service.database.engine` is a
PostgreSQL database of its own instead. Tests that look into the file itself carry the mark ``sqlite`` and are left out.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.errors import DuplicateDatabase
from sqlalchemy import Engine, make_url

from node_service.database import engine

CHOSEN: Final = os.environ.get("TESTS_DATABASE", "sqlite")
_VERSIONS: Final = Path("/usr/lib/postgresql")
_START_TIMEOUT_S: Final = 60
_DISCONNECT: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
_MISSING: Final = "PostgreSQL's server is not installed (on Debian: apt-get install postgresql)"


def programs() -> Path | None:
    """The folder of the server's programs, the newest version's; None where there is none."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def require() -> None:
    """The server is installed; where it is not the test is skipped with the reason, in CI it fails."""
    if programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)


_STANDING_IN: list[Server] = []


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; its folder is its socket's folder, too."""

    folder: Path
    bin: Path
    user: str

    def url(self, database: str) -> str:
        """Address of one of its databases for SQLAlchemy."""
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}"

    def conninfo(self, database: str = "postgres") -> str:
        """The same for libpq."""
        return f"host={self.folder} user={self.user} dbname={database}"

    def create(self, database: str, *, copy_of: str | None = None) -> str:
        """Make a database, empty or a copy of another one, unless it is there; its address."""
        template = "" if copy_of is None else f' TEMPLATE "{copy_of}"'
        with psycopg.connect(self.conninfo(), autocommit=True) as connection, suppress(DuplicateDatabase):
            if copy_of is not None:
                connection.execute(_DISCONNECT, [copy_of])
            connection.execute(f'CREATE DATABASE "{database}"{template}'.encode())
        return self.url(database)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.run("pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_S), "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends connections, ``immediate`` is a crash."""
        self.run("pg_ctl", "stop", "-w", "-m", mode)

    def promote(self) -> None:
        """Make a replica the server that writes."""
        self.run("pg_ctl", "promote", "-w", "-t", str(_START_TIMEOUT_S))

    def set(self, name: str, value: str) -> None:
        """Change a setting that needs no restart."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def file_of(self, database: str, table: str) -> Path:
        """Where a table's pages lie."""
        with psycopg.connect(self.conninfo(database)) as connection:
            connection.execute("CHECKPOINT")
            (found,) = connection.execute("SELECT pg_relation_filepath(%s)", (table,)).fetchone() or ("",)
        return self.folder / "data" / str(found)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the server's folder, as its user."""
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]
        as_user = {} if os.geteuid() else {"user": self.user, "group": self.user, "extra_groups": ()}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **as_user)  # type: ignore[call-overload]


@contextmanager
def running_server(*, durable: bool, folder: Path | None = None) -> Iterator[Server]:
    """A server from nothing while the block runs.

    Args:
        durable: commits wait for the disk, pages carry checksums, as in real work.
        folder: empty, on a small disk perhaps; by default a temporary one.
    """
    with _made(folder) as server:
        strict = ("--data-checksums",) if durable else ()
        server.run("initdb", "-U", server.user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
                   "--wal-segsize=1", *strict)  # fmt: skip
        lines = ["max_connections=500", "min_wal_size=4MB", *([] if durable else ["fsync=off", "full_page_writes=off"])]
        with _serving(server, lines):
            yield server


@contextmanager
def replica_of(primary: Server) -> Iterator[Server]:
    """A server that has each commit of another one before that one acknowledges it."""
    with _made(None) as replica:
        source = f"{primary.conninfo()} application_name=replica"
        replica.run("pg_basebackup", "-d", source, "-X", "stream", "-c", "fast", "-R", "--no-sync")
        with _serving(replica, []):
            primary.set("synchronous_standby_names", "replica")
            yield replica


@contextmanager
def _made(folder: Path | None) -> Iterator[Server]:
    """A server's folder, without a server yet."""
    found = programs()
    if found is None:
        raise FileNotFoundError(_MISSING)
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "postgres"
    made = folder or Path(tempfile.mkdtemp(prefix="yilian-pg-"))
    if not os.geteuid():
        shutil.chown(made, user, user)
    try:
        yield Server(made, found, user)
    finally:
        if folder is None:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _serving(server: Server, lines: Sequence[str]) -> Iterator[None]:
    """On a socket alone; these settings win over those before."""
    own = ["listen_addresses=''", f"unix_socket_directories='{server.folder}'", *lines]
    with (server.folder / "data" / "postgresql.conf").open("a") as settings:
        settings.writelines(f"{line}\n" for line in own)
    server.start()
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop("immediate")


def name_of(file: Path) -> str:
    """Name of the database that stands for a SQLite file."""
    return f"node_{hashlib.sha256(os.path.realpath(file).encode()).hexdigest()[:24]}"


def _created(server: Server, file: Path) -> str:
    """The database of a file. Its name is left in the file: a copy of the folder then gets a copy of the database."""
    name, known = name_of(file), file.read_text() if file.exists() else ""
    if known == name:
        return server.url(name)
    url = server.create(name, copy_of=known or None)
    if file.parent.is_dir():
        file.write_text(name)
    return url


@contextmanager
def instead_of_sqlite(server: Server) -> Iterator[None]:
    """Until the end of the block every SQLite file of a node is a database of this server."""
    chosen = engine._engine

    def redirected(url: str) -> Engine:
        made = make_url(url)
        if made.get_backend_name() != "sqlite" or made.database is None:
            return chosen(url)
        return chosen(_created(server, Path(made.database)))

    engine._engine = redirected
    _STANDING_IN.append(server)
    try:
        yield
    finally:
        _STANDING_IN.remove(server)
        engine._engine = chosen


def url_instead_of(file: Path) -> str:
    """For a node that is a process of its own: the URL of the database in place of this file; empty: SQLite it is."""
    return _STANDING_IN[-1].create(name_of(file)) if _STANDING_IN else ""
