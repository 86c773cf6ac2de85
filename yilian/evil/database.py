"""What the root of a hospital's database can do to it while the node runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

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


def alter_access_row(database: Path, access: str) -> int:
    """Rewrite who read in the row of an access; return the row's number."""
    with opened(database) as connection:
        number, leaf = connection.execute(
            "SELECT id, leaf FROM access_row WHERE log_index IS NOT NULL AND instr(CAST(leaf AS TEXT), ?) > 0",
            (access,),
        ).fetchone()
        altered = bytes(leaf).replace(b'"outcome":"ok"', b'"outcome":"no"')
        connection.execute("UPDATE access_row SET leaf = ? WHERE id = ?", (altered, number))
    return int(number)


def restore_access_row(database: Path, number: int) -> None:
    """Put the row right again."""
    with opened(database) as connection:
        leaf = connection.execute("SELECT leaf FROM access_row WHERE id = ?", (number,)).fetchone()[0]
        whole = bytes(leaf).replace(b'"outcome":"no"', b'"outcome":"ok"')
        connection.execute("UPDATE access_row SET leaf = ? WHERE id = ?", (whole, number))
