"""The proof that a record stands in the hospital's log: leaf, and path to an anchored head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from domain.errors import NotFound
from domain.identifiers import encode_bytes
from domain.paths import LeafPath
from node_service.context import Node
from node_service.database.models import AnchoredHead, RecordVersion
from node_service.ledger_sync import projection
from node_service.logs.log import RECORDS, Log

_QUERY_ITEMS = 300
Version = tuple[str, int]
Evidence = tuple[bytes, LeafPath | None]


def leaf_and_path(node: Node, session: Session, record: str, version: int) -> Evidence:
    """The leaf of one version with its path to the first anchored head that covers it; no path before that.

    Raises:
        NotFound: there is no such version.
    """
    return leaves_and_paths(node, session, [(record, version)])[record, version]


def leaves_and_paths(node: Node, session: Session, versions: Sequence[Version]) -> dict[Version, Evidence]:
    """As :func:`leaf_and_path` for many versions of the own hospital, with few queries.

    Raises:
        NotFound: one of them does not exist.
    """
    rows = {(row.record, row.version): row for row in _rows(session, versions)}
    if len(rows) != len(set(versions)):
        raise NotFound("there is no such version of the record", reason="no-record")
    found: dict[Version, Evidence] = {version: (row.leaf, None) for version, row in rows.items()}
    by_head: dict[tuple[int, int], list[tuple[Version, int]]] = defaultdict(list)
    head: AnchoredHead | None = None
    for row in sorted(rows.values(), key=lambda one: (one.incarnation or 0, one.log_index or 0)):
        if row.log_index is None:
            continue
        if head is None or head.incarnation != row.incarnation or head.size <= row.log_index:
            head = _head(session, node.msp_id, row)  # in this order it stays the first that covers what follows
        if head is not None:
            by_head[head.incarnation, head.size].append(((row.record, row.version), row.log_index))
    for (incarnation, size), placed in by_head.items():
        paths = Log(session, RECORDS, incarnation).inclusions([index for _, index in placed], size)
        for (version, index), path in zip(placed, paths, strict=True):
            hashes = tuple(encode_bytes(item) for item in path)
            found[version] = (found[version][0], LeafPath(incarnation, index, size, hashes))
    return found


def _rows(session: Session, versions: Sequence[Version]) -> list[RecordVersion]:
    rows: list[RecordVersion] = []
    for start in range(0, len(versions), _QUERY_ITEMS):
        key = tuple_(RecordVersion.record, RecordVersion.version)
        query = select(RecordVersion).where(key.in_(versions[start : start + _QUERY_ITEMS]))
        rows.extend(session.scalars(query))
    return rows


def _head(session: Session, msp_id: str, row: RecordVersion) -> AnchoredHead | None:
    if row.log_index is None or row.incarnation is None:
        return None
    return projection.covering_head(session, msp_id, row.incarnation, RECORDS, row.log_index)
