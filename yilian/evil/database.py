"""What the root of a hospital's database can do to it while the node runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from domain import leaves
from node_service.database.engine import Database
from node_service.ledger_sync.alarm import alarms, settle_alarm
from node_service.settings import Settings
from yilian.demo.network import Hospital

_TIMEOUT_S = 30.0


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """The node's database, written past the node."""
    with closing(sqlite3.connect(database, timeout=_TIMEOUT_S)) as connection, connection:
        yield connection


def digest_of(database: Path, record: str) -> bytes:
    """The address of the newest version of a record."""
    with opened(database) as connection:
        row = connection.execute(
            "SELECT digest FROM record_version WHERE record = ? ORDER BY version DESC", (record,)
        ).fetchone()
    return bytes(row[0])


def swap_wraps(database: Path, one: str, other: str) -> None:
    """Exchange the custodian's wraps of two records."""
    with opened(database) as connection:
        where = "record = ? AND recipient = 'custodian'"
        wraps = [
            connection.execute(f"SELECT wrap FROM wrap WHERE {where}", (record,)).fetchone()[0]  # noqa: S608 - constant
            for record in (one, other)
        ]
        for record, wrap in zip((other, one), wraps, strict=True):
            connection.execute(f"UPDATE wrap SET wrap = ? WHERE {where}", (wrap, record))  # noqa: S608 - constant


def access_row(database: Path, access: str, organisation: str) -> tuple[int, bytes]:
    """Number and bytes of a row that tells what an organisation did under an access, and is in the log already."""
    with opened(database) as connection:
        number, leaf = connection.execute(
            "SELECT id, leaf FROM access_row WHERE log_index IS NOT NULL"
            " AND instr(CAST(leaf AS TEXT), ?) > 0 AND instr(CAST(leaf AS TEXT), ?) > 0",
            (access, organisation),
        ).fetchone()
    return int(number), bytes(leaf)


def newest_access_row(database: Path) -> int:
    """Number of the newest row of the access log."""
    with opened(database) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM access_row").fetchone()[0])


def denial(database: Path, access: str, after: int) -> str | None:
    """Why the node refused under an access, as the newest row behind ``after`` tells; None if none does."""
    with opened(database) as connection:
        rows = connection.execute(
            "SELECT leaf FROM access_row WHERE access = ? AND id > ? ORDER BY id DESC", (access, after)
        ).fetchall()
    found = (leaves.parse_access_leaf(bytes(leaf)) for (leaf,) in rows)
    return next((leaf.outcome for leaf in found if leaf.action == "deny"), None)


def write_access_row(database: Path, number: int, leaf: bytes) -> None:
    """Put other bytes into a row of the access log."""
    with opened(database) as connection:
        connection.execute("UPDATE access_row SET leaf = ? WHERE id = ?", (leaf, number))


def settle_alarms(hospital: Hospital) -> list[str]:
    """Settle what stands, as the hospital's administrator does after a look; name it."""
    database = Database(Settings.from_environment(hospital.environment).sqlalchemy_url)
    try:
        with database.reading() as session:
            standing = [(alarm.name, alarm.reason) for alarm in alarms(session)]
        for name, _ in standing:
            settle_alarm(database, name)
    finally:
        database.close()
    return [f"{name} ({reason})" for name, reason in standing]
