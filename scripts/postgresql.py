"""A PostgreSQL server of its own, for tests and measurements: Debian's programs, on a Unix socket in a folder."""

from __future__ import annotations

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
from psycopg.errors import DuplicateDatabase

HOW_TO_GET: Final = "PostgreSQL's server is not installed (on Debian: apt-get install postgresql)"
_VERSIONS: Final = Path("/usr/lib/postgresql")
_START_TIMEOUT_S: Final = 60
_DISCONNECT: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


def programs() -> Path | None:
    """The folder of the server's programs, the newest version's; None where there is none."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
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

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())

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
        subprocess.run(  # type: ignore[call-overload]  # noqa: S603 - our own program
            command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **as_user
        )


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
def restored_from(backup: Path) -> Iterator[Server]:
    """A server over a copy of a base backup, at a place of its own."""
    with _made(None) as restored:
        data = restored.folder / "data"
        shutil.copytree(backup, data)
        if not os.geteuid():
            for path in (data, *data.rglob("*")):
                shutil.chown(path, restored.user, restored.user)
        data.chmod(0o700)
        with _serving(restored, []):
            yield restored


@contextmanager
def _made(folder: Path | None) -> Iterator[Server]:
    """A server's folder, without a server yet."""
    found = programs()
    if found is None:
        raise FileNotFoundError(HOW_TO_GET)
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
