"""A hospital's files as somebody sees them who shares no code with the node: plain SQL, plain bytes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from domain import paths
from domain.errors import Tampered
from domain.paths import LeafPath
from tests.files_at_work import content, files_below
from tests.simulation.oracle import Facts

_UNCOVERED = """
    SELECT count(*) FROM {table} WHERE log_index >=
    (SELECT coalesce(max(size), 0) FROM anchored_head WHERE msp_id = :msp_id AND log = '{log}')
"""
_BACKLOG = {
    "leaves in the outbox": "SELECT count(*) FROM outbox",
    "rows without a place in the log": "SELECT count(*) FROM access_row WHERE log_index IS NULL",
    "pending transactions": "SELECT count(*) FROM pending_transaction WHERE state IN ('waiting', 'broadcast')",
    "removals": "SELECT count(*) FROM removal WHERE state <> 'done'",
    "notices": "SELECT count(*) FROM release_notice WHERE answer IS NULL",
    "records that no head on the ledger covers": _UNCOVERED.format(table="record_version", log="records"),
    "accesses that no head on the ledger covers": _UNCOVERED.format(table="access_row", log="access"),
}
_ALL_BACKLOG = f"SELECT {', '.join(f'({query})' for query in _BACKLOG.values())}"


def ask(folder: Path, query: str, *values: object, **named: object) -> list[tuple[Any, ...]]:
    """Read from the node's database as it is on disk."""
    with closing(sqlite3.connect(f"file:{folder / 'node.db'}?mode=ro", uri=True)) as database:
        return database.execute(query, named or values).fetchall()


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


def backlog(folder: Path, msp_id: str) -> dict[str, int]:
    """What waits."""
    return dict(zip(_BACKLOG, ask(folder, _ALL_BACKLOG, msp_id=msp_id)[0], strict=True))


def alarms(folder: Path) -> list[tuple[Any, ...]]:
    """What stands."""
    return ask(folder, "SELECT name, reason, place FROM alarm")


def versions(folder: Path) -> set[str]:
    """Records with a stored version."""
    return {record for (record,) in ask(folder, "SELECT record FROM record_version")}


def clinical(folder: Path) -> list[str]:
    """Records of patients that are not the persons' own entries, in the order of their ids."""
    query = "SELECT id FROM record WHERE kind = 'patient' AND resource_type NOT IN ('', 'Patient') ORDER BY id"
    return [record for (record,) in ask(folder, query)]


def types_of(folder: Path) -> dict[str, str]:
    """The resource type of each record that is not erased."""
    return dict(ask(folder, "SELECT id, resource_type FROM record WHERE resource_type <> ''"))


def wraps(folder: Path) -> dict[tuple[str, int, str], bytes]:
    """Custodian's wraps by record or Bundle, version and object."""
    query = """
        SELECT w.record, w.version, v.object_id, w.wrap FROM wrap w
        JOIN record_version v ON v.record = w.record AND v.version = w.version WHERE w.recipient = 'custodian'
        UNION ALL SELECT id, 1, object_id, wrap FROM bundle_skeleton
    """
    return {(record, version, object_id): wrap for record, version, object_id, wrap in ask(folder, query)}


def gone(folder: Path) -> set[str]:
    """Records that the node calls erased or retracted."""
    return {record for (record,) in ask(folder, "SELECT id FROM record WHERE status IN ('erased', 'retracted')")}


def removals(folder: Path) -> dict[str, tuple[str, str]]:
    """What is being done, and how far it is."""
    return {
        record: (action, state) for record, action, state in ask(folder, "SELECT record, action, state FROM removal")
    }


def remains(folder: Path, record: str) -> Iterator[str]:
    """What an erasure should have taken."""
    for table in ("wrap", "member", "record_token", "bundle_entry", "idempotency_key"):
        if ask(folder, f"SELECT count(*) FROM {table} WHERE record = ?", record)[0][0]:  # noqa: S608 - constants
            yield table
    present = objects(folder)
    for (digest,) in ask(folder, "SELECT digest FROM record_version WHERE record = ?", record):
        if digest.hex() in present - referenced(folder):
            yield "object"


def objects(folder: Path) -> set[str]:
    """Digests of the objects in the store."""
    return {path.name for path in (folder / "objects" / "objects").glob("??/*") if "." not in path.name}


def referenced(folder: Path) -> set[str]:
    """Digests to which a row refers."""
    query = """
        SELECT digest FROM record_version WHERE content_token <> x'' UNION SELECT digest FROM member
        UNION SELECT digest FROM bundle_skeleton
    """
    return {digest.hex() for (digest,) in ask(folder, query)}


def damaged(folder: Path) -> list[tuple[Any, ...]]:
    """What the scrub or a reader has written down as damaged."""
    return ask(folder, "SELECT row, reason FROM damaged_object")


def read_elsewhere(folder: Path, custodian: str) -> set[str]:
    """Records of another hospital that this one's own access log says were read here."""
    query = "SELECT r.leaf FROM access_row r JOIN opened_access o ON o.id = r.access WHERE o.custodian = ?"
    rows = (json.loads(leaf) for (leaf,) in ask(folder, query, custodian))
    return {record for row in rows if row["action"] == "read" for record in row["records"]}


def holders(folder: Path, digest: str) -> list[str]:
    """Records of which an object is a version."""
    query = "SELECT record FROM record_version WHERE digest = ?"
    return [record for (record,) in ask(folder, query, bytes.fromhex(digest))]


def digests(folder: Path) -> list[str]:
    """Of all versions, in order."""
    return [digest.hex() for (digest,) in ask(folder, "SELECT digest FROM record_version ORDER BY digest")]


def part(folder: Path, digest: str, offset: int, length: int) -> bytes | None:
    """Bytes of an object as they lie in the store; None where it is gone."""
    path = folder / "objects" / "objects" / digest[:2] / digest
    return path.read_bytes()[offset : offset + length] if path.exists() else None


def verify_path(leaf: bytes, path: LeafPath, root: str | None) -> None:
    """Raise ``Tampered`` unless the path leads to a head that is on the ledger."""
    if root is None:
        raise Tampered("the path leads to no head of the ledger")
    paths.verify_leaf(leaf, path, root)


def plaintext(folder: Path, canary: bytes) -> Iterator[str]:
    """Files that hold what only sealed content may hold."""
    return (path.name for path in files_below(folder) if canary in content(path))
