"""Reads stored objects again and names those that are altered or gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from domain.errors import NotFound, Tampered
from domain.identifiers import encode_bytes
from node_service.context import Node
from node_service.database.erasure_models import Removal
from node_service.database.models import BundleEntry, BundleSkeleton, Member, RecordVersion

ERASED: Final = b""
"""What is left of the content token of an erased record's versions: their objects are gone on purpose."""
BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class ObjectFinding:
    """An object that does not verify: its anchored digest, what is wrong, and whose it is."""

    digest: str
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class ReferredObject:
    """An object that a row refers to."""

    object_id: str
    digest: bytes
    length: int
    row: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A table whose rows refer to objects."""

    name: str
    object_id: InstrumentedAttribute[str]
    digest: InstrumentedAttribute[bytes]
    owner: InstrumentedAttribute[str]
    length: InstrumentedAttribute[int] | None
    going: Select[str]
    condition: ColumnElement[bool] | None = None


_GOING: Final = select(Removal.record).where(Removal.action == "erase", Removal.state == "forgotten")
"""Records whose keys are destroyed: their objects are deleted before their rows are."""
_GOING_BUNDLES: Final = select(BundleEntry.bundle).where(BundleEntry.record.in_(_GOING))
_PARTS: Final = {
    "record": _Part(
        "record", RecordVersion.object_id, RecordVersion.digest, RecordVersion.record, RecordVersion.length, _GOING,
        RecordVersion.content_token != ERASED,
    ),
    "member": _Part("member of record", Member.object_id, Member.digest, Member.record, Member.length, _GOING),
    "bundle": _Part(
        "bundle", BundleSkeleton.object_id, BundleSkeleton.digest, BundleSkeleton.id, None, _GOING_BUNDLES
    ),
}  # fmt: skip
PARTS: Final = tuple(_PARTS)


def check_objects(node: Node, progress: Callable[[int], None] | None = None) -> list[ObjectFinding]:
    """Verify every byte of every object that a row refers to.

    Args:
        progress: told how many objects were read.

    Raises:
        Unavailable: database or store cannot be read.
    """
    findings, number = list[ObjectFinding](), 0
    for part in PARTS:
        after = ""
        while objects := objects_after(node, part, after, BATCH):
            after = objects[-1].object_id
            for one in objects:
                number += 1
                found = check_object(node, part, one)
                findings += [found] if found is not None else []
                if progress is not None:
                    progress(number)
    return findings


def objects_after(node: Node, part: str, after: str, limit: int) -> list[ReferredObject]:
    """Objects of one part in order of their ids, beginning behind ``after``."""
    with node.database.reading() as session:
        return list(_referred(session, _PARTS[part], _PARTS[part].object_id > after, limit))


def referred_object(node: Node, part: str, object_id: str) -> ReferredObject | None:
    """One object of a part, if a row refers to it."""
    with node.database.reading() as session:
        return next(_referred(session, _PARTS[part], _PARTS[part].object_id == object_id, 1), None)


def check_object(node: Node, part: str, one: ReferredObject) -> ObjectFinding | None:
    """Verify every byte of one object; None if it is well, or nothing refers to it any more.

    Raises:
        Unavailable: database or store cannot be read.
    """
    digest = encode_bytes(one.digest)
    try:
        node.blobs.verify(digest)
    except NotFound:
        return ObjectFinding(digest, "missing", one.row) if _is_referred(node, part, one) else None
    except Tampered as error:
        return ObjectFinding(digest, error.reason, one.row)
    return None


def _is_referred(node: Node, part: str, one: ReferredObject) -> bool:
    """Looked at after the object was missed: it may have been erased meanwhile."""
    return referred_object(node, part, one.object_id) is not None


def _referred(session: Session, part: _Part, where: ColumnElement[bool], limit: int) -> Iterator[ReferredObject]:
    length: Any = literal(0) if part.length is None else part.length
    query = select(part.object_id, part.digest, part.owner, length).where(where, part.owner.not_in(part.going))
    query = query.order_by(part.object_id).limit(limit)
    if part.condition is not None:
        query = query.where(part.condition)
    for object_id, digest, owner, total in session.execute(query):
        yield ReferredObject(object_id, digest, total, f"{part.name} {owner}")
