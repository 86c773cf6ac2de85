"""Ranges of released objects: the opening and the record are decided again for every range."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from domain import leaves
from domain.checks import check_integer
from domain.errors import Denied, Tampered
from domain.identifiers import check_identifier, decode_bytes
from node_service.context import Node
from node_service.database.models import AccessRow, Member, Record, RecordVersion
from node_service.records.entries import entries as record_entries
from node_service.sharing.candidates import judge, readable, readable_directory
from node_service.sharing.openings import patient_of, verify_again
from node_service.sharing.refusals import log_refusal
from node_service.witnessing.freshness import wait_until_fresh

MAX_RANGE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """A range of the sealed bytes of one object, under an access or emergency."""

    access: str
    digest: str
    offset: int
    length: int

    def __post_init__(self) -> None:
        check_identifier(self.access, "access")
        decode_bytes(self.digest, "digest", length=32)
        check_integer(self.offset, "offset")
        check_integer(self.length, "length", low=1, high=MAX_RANGE_BYTES)


async def read_object(node: Node, caller: str, request: RangeRequest) -> bytes:
    """The range, cut at the object's end, empty beyond it; every chunk that it touches is verified.

    No key goes with it: the data key was released with the record, or lies in its manifest.

    Raises:
        Denied: not verified, or not released under this opening; outside it looks like something absent.
        Tampered: the stored object was altered.
        Unavailable: not fresh in time, or an alarm stands.
    """
    await wait_until_fresh(node, caller)
    length = await node.in_database(_permitted_length, node, caller, request)
    count = min(request.length, length - request.offset)
    if count <= 0:
        return b""
    return await node.in_crypto(node.blobs.get_range, request.digest, request.offset, count)


def _permitted_length(node: Node, caller: str, request: RangeRequest) -> int:
    with node.database.reading() as session:
        try:
            return _length(node, session, caller, request)
        except (Denied, Tampered) as error:
            log_refusal(node, caller, patient_of(session, request.access), request.access, error)
            raise


def _length(node: Node, session: Session, caller: str, request: RangeRequest) -> int:
    live = verify_again(node, session, caller, request.access)
    released = _released(session, live.id)
    for record, length in _holders(session, decode_bytes(request.digest, "digest")):
        if record not in released:
            continue
        entries = record_entries(node, session, [record])
        directory = readable_directory(node, session, [record])
        if directory or readable(node, session, judge(node, session, live), entries):
            return length
    raise Denied("the object was not released under this opening", reason="not-released")


def _released(session: Session, access: str) -> set[str]:
    """Record ids in the access rows of this opening."""
    released: set[str] = set()
    for encoded in session.scalars(select(AccessRow.leaf).where(AccessRow.access == access)):
        leaf = leaves.parse_access_leaf(encoded)
        if leaf.action in ("release", "break-glass") and leaf.outcome == "ok":
            released.update(leaf.records)
    return released


def _holders(session: Session, digest: bytes) -> list[tuple[str, int]]:
    """Records of which the object is a version or a member, with the object's length."""
    versions = select(RecordVersion.record, RecordVersion.length).where(RecordVersion.digest == digest)
    listed = (Member.record == Record.id, Member.manifest_version <= Record.current_version)
    members = select(Member.record, Member.length).join(Record, and_(*listed)).where(Member.digest == digest)
    rows = [*session.execute(versions), *session.execute(members)]
    return [(row.record, row.length) for row in rows]
