"""Reads every stored object again and names those that are altered or gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from domain.errors import NotFound, Tampered
from domain.identifiers import encode_bytes
from node_service.context import Node
from node_service.database.models import BundleSkeleton, Member, RecordVersion

ERASED: Final = b""
"""What is left of the content token of an erased record's versions: their objects are gone on purpose."""


@dataclass(frozen=True, slots=True)
class ObjectFinding:
    """An object that does not verify: its anchored digest, what is wrong, and whose it is."""

    digest: str
    reason: str
    row: str


def check_objects(node: Node, progress: Callable[[int], None] | None = None) -> list[ObjectFinding]:
    """Verify every byte of every object that a row refers to.

    Args:
        progress: told how many objects were read.

    Raises:
        Unavailable: database or store cannot be read.
    """
    findings = []
    for number, (digest, row) in enumerate(_objects(node), start=1):
        try:
            _read(node, digest)
        except NotFound:
            findings.append(ObjectFinding(digest, "missing", row))
        except Tampered as error:
            findings.append(ObjectFinding(digest, error.reason, row))
        if progress is not None:
            progress(number)
    return findings


def _read(node: Node, digest: str) -> None:
    with node.blobs.get(digest) as sealed:
        for _ in sealed.pieces():
            pass


def _objects(node: Node) -> Iterator[tuple[str, str]]:
    tables = (
        ("record", RecordVersion.digest, RecordVersion.record),
        ("member of record", Member.digest, Member.record),
        ("bundle", BundleSkeleton.digest, BundleSkeleton.id),
    )
    with node.database.reading() as session:
        for kind, digest, name in tables:
            query = select(digest, name).order_by(name).execution_options(yield_per=1000)
            if digest is RecordVersion.digest:
                query = query.where(RecordVersion.content_token != ERASED)
            for row in session.execute(query).tuples():
                yield encode_bytes(row[0]), f"{kind} {row[1]}"
