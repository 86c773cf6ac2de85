"""PostgreSQL for tests: every node's database in a server of its own where TESTS_DATABASE says so.

With ``TESTS_DATABASE=postgresql`` each SQLite file that a test opens through :mod:`node_service.database.engine` is a
PostgreSQL database of its own instead. Tests that look into the file itself carry the mark ``sqlite`` and are left out,
and long ones that say nothing of databases, too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, make_url

from node_service.database import engine
from scripts.postgresql import HOW_TO_GET, Server, programs

CHOSEN: Final = os.environ.get("TESTS_DATABASE", "sqlite")


def require() -> None:
    """The server is installed; where it is not the test is skipped with the reason, in CI it fails."""
    if programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)


MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system in memory where there is one
ROOM_BYTES: Final = 8 << 30
"""What the databases of one test process may take; each has 7 MiB, and a test's own are dropped after it."""
_STANDING_IN: list[Server] = []
_MADE: dict[Path, str] = {}


@contextmanager
def place() -> Iterator[Path | None]:
    """A folder in memory for the server's data, where there is room; None: anywhere."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="yilian-pg-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def drop_below(folder: Path) -> None:
    """Drop the databases in memory that stand for files below a folder whose test is over; on a disk it costs time."""
    if not _STANDING_IN[-1].folder.is_relative_to(MEMORY):
        return
    for file in [path for path in _MADE if path.is_relative_to(folder)]:
        _STANDING_IN[-1].drop(_MADE.pop(file))


def name_of(file: Path) -> str:
    """Name of the database that stands for a SQLite file."""
    return f"node_{hashlib.sha256(os.path.realpath(file).encode()).hexdigest()[:24]}"


def _created(server: Server, file: Path) -> str:
    """The database of a file. Its name is left in the file: a copy of the folder then gets a copy of the database."""
    name, known = name_of(file), file.read_text() if file.exists() else ""
    if known == name:
        return server.url(name)
    url = server.create(name, copy_of=known or None)
    _MADE[file] = name
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
