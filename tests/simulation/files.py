"""A hospital's files as somebody sees them who shares no code with the node: plain SQL, plain bytes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from domain import paths
from domain.errors import Tampered
from domain.paths import LeafPath
from tests.simulation.oracle import Facts

_BACKLOG = {
    "leaves in the outbox": "SELECT count(*) FROM outbox",
    "rows without a place in the log": "SELECT count(*) FROM access_row WHERE log_index IS NULL",
    "pending transactions": "SELECT count(*) FROM pending_transaction WHERE state IN ('waiting', 'broadcast')",
}


def ask(folder: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read from the node's database as it is on disk."""
    with closing(sqlite3.connect(f"file:{folder / 'node.db'}?mode=ro", uri=True)) as database:
        return database.execute(query, values).fetchall()


def facts(folder: Path, record: str) -> Facts:
    """A record as it was filed."""
    rows = ask(folder, "SELECT kind, patient, category, created_at FROM record WHERE id = ?", record)
    kind, patient, category, stored_at = rows[0]
    return Facts(record, kind, patient, category, stored_at)


def logged(folder: Path, access: str, actions: Iterable[str]) -> Iterator[str]:
    """Records that the access log names under an opening."""
    for (leaf,) in ask(folder, "SELECT leaf FROM access_row WHERE access = ?", access):
        row = json.loads(leaf)
        if row["action"] in actions:
            yield from row["records"]


def rows_of(folder: Path, actor: str, record: str) -> int:
    """How often the access log says that somebody read a record."""
    rows = (json.loads(leaf) for (leaf,) in ask(folder, "SELECT leaf FROM access_row"))
    return sum(row["actor"] == actor and row["action"] == "read" and record in row["records"] for row in rows)


def backlog(folder: Path) -> dict[str, int]:
    """What waits."""
    return {what: ask(folder, query)[0][0] for what, query in _BACKLOG.items()}


def alarms(folder: Path) -> list[tuple[Any, ...]]:
    """What stands."""
    return ask(folder, "SELECT name, reason, place FROM alarm")


def versions(folder: Path) -> set[str]:
    """Records with a stored version."""
    return {record for (record,) in ask(folder, "SELECT record FROM record_version")}


def types(folder: Path) -> Iterator[str]:
    """The resource type of each record."""
    for (resource_type,) in ask(folder, "SELECT resource_type FROM record"):
        yield resource_type


def verify_path(leaf: bytes, path: LeafPath, root: str | None) -> None:
    """Raise ``Tampered`` unless the path leads to a head that is on the ledger."""
    if root is None:
        raise Tampered("the path leads to no head of the ledger")
    paths.verify_leaf(leaf, path, root)


def unanchored(folder: Path, msp_id: str) -> int:
    """Leaves of both logs that no head on the ledger covers."""
    waiting = 0
    for table, log in (("record_version", "records"), ("access_row", "access")):
        covered = "SELECT coalesce(max(size), 0) FROM anchored_head WHERE msp_id = ? AND log = ?"
        waiting += ask(folder, f"SELECT count(*) FROM {table} WHERE log_index >= ({covered})", msp_id, log)[0][0]  # noqa: S608 - two constants
    return waiting


def plaintext(folder: Path, canary: bytes) -> Iterator[str]:
    """Files that hold what only sealed content may hold."""
    for directory, _, names in os.walk(folder):
        yield from (name for name in names if canary in (Path(directory) / name).read_bytes())
