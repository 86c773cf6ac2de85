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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg.errors import DuplicateDatabase
from sqlalchemy import Engine, make_url

from node_service.database import engine

CHOSEN: Final = os.environ.get("TESTS_DATABASE", "sqlite")
_VERSIONS: Final = Path("/usr/lib/postgresql")
_START_TIMEOUT_S: Final = 60
_DISCONNECT: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
MISSING: Final = "PostgreSQL's server is not installed (on Debian: apt-get install postgresql)"


def programs() -> Path | None:
    """The folder of the server's programs, the newest version's; None where there is none."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


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
        self._run("pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_S), "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends connections, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]
        as_user = {} if os.geteuid() else {"user": self.user, "group": self.user, "extra_groups": ()}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **as_user)  # type: ignore[call-overload]


@contextmanager
def running_server(*, durable: bool) -> Iterator[Server]:
    """A server from nothing while the block runs; ``durable``: commits wait for the disk, as in real work."""
    found = programs()
    if found is None:
        raise FileNotFoundError(MISSING)
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "postgres"
    folder = Path(tempfile.mkdtemp(prefix="yilian-pg-"))
    if not os.geteuid():
        shutil.chown(folder, user, user)
    server = Server(folder, found, user)
    try:
        server._run("initdb", "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses=''\nunix_socket_directories='{folder}'\nmax_connections=500\n")
            settings.write("" if durable else "fsync=off\nfull_page_writes=off\n")
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
def instead_of_sqlite() -> Iterator[Server]:
    """Until the end of the block every SQLite file of a node is a database of one server."""
    chosen = engine._engine
    with running_server(durable=False) as server:

        def redirected(url: str) -> Engine:
            made = make_url(url)
            if made.get_backend_name() != "sqlite" or made.database is None:
                return chosen(url)
            return chosen(_created(server, Path(made.database)))

        engine._engine = redirected
        try:
            yield server
        finally:
            engine._engine = chosen
