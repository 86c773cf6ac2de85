"""Received Bundles: the skeleton is sealed and stored, so that the received bytes can be put together again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from domain.errors import Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.context import Node
from node_service.database.models import BundleEntry, BundleSkeleton, Record
from node_service.fhir.bundle import BundleParts, Skeleton, reassemble
from node_service.fhir.splice import Splice
from node_service.records.input import received_bytes
from node_service.records.reading import INTERNAL, MAX_CONTENT_BYTES, version_keys
from node_service.records.sealing import open_undo
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.suite import SALT_BYTES
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import KeyBinding, Wrap

SKELETON_TYPE: Final = "application/vnd.yilian.bundle-skeleton+json;version=1"
_FORMAT: Final = "yilian-bundle-1"
_KEYS_AT_ONCE: Final = 1000
_RECORDS_PER_QUERY: Final = 300


@dataclass(frozen=True, slots=True)
class SealedSkeleton:
    """A skeleton that is sealed and in the store, with its key; its row comes with the records' rows."""

    id: str
    object_id: str
    source_token: bytes = field(repr=False)
    digest: str
    key: DataKey = field(repr=False)
    records: frozenset[str]


def seal_skeleton(
    node: Node, source_token: bytes, bundle: BundleParts, placed: Mapping[int, tuple[str, int]]
) -> SealedSkeleton:
    """Seal what is left of a Bundle, put it into the store, and make what its wrap needs.

    Args:
        node: the hospital.
        source_token: blind identity of the received Bundle.
        bundle: its parts.
        placed: record and version of every entry that holds a resource.

    Raises:
        Unavailable: store or custody failed.
    """
    parts = [list(placed[number]) for number, _ in received_bytes(bundle.entries)]
    document = {"format": _FORMAT, "resources": parts, "skeleton": bundle.skeleton.encode().decode()}
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    object_id = identifier(node.random(IDENTIFIER_BYTES))
    key = DataKey(node.random(32))
    header = Header(object_id, node.msp_id, node.random(SALT_BYTES))
    sealed: SealedBytes = seal(PlainBytes(content, Description(SKELETON_TYPE)), key, header)
    bundle_id = identifier(node.random(IDENTIFIER_BYTES))
    node.custody.prepare([bundle_id])
    node.blobs.put(sealed)
    records = frozenset(record for record, _ in placed.values())
    return SealedSkeleton(bundle_id, object_id, source_token, sealed.digest, key, records)


def write_skeleton(node: Node, session: Session, skeleton: SealedSkeleton) -> None:
    """Write the row in the caller's transaction; nothing where a record was erased or retracted meanwhile.

    Its erasure looked for Bundles before this one was there, and would not look again.
    """
    if _names_closed(session, skeleton.records):
        return
    wrap = node.custody.wrap([(KeyBinding(skeleton.object_id, skeleton.id, 1), skeleton.key)])[0]
    session.add(
        BundleSkeleton(
            id=skeleton.id,
            source_token=skeleton.source_token,
            object_id=skeleton.object_id,
            digest=decode_bytes(skeleton.digest, "digest"),
            wrap=wrap.encode(),
            received_at=instant(node.clock.now()),
        )
    )
    rows = [{"record": record, "bundle": skeleton.id} for record in sorted(skeleton.records)]
    if rows:
        session.connection().execute(insert(BundleEntry), rows)


def _names_closed(session: Session, records: Collection[str]) -> bool:
    named = sorted(records)
    for start in range(0, len(named), _RECORDS_PER_QUERY):
        batch = named[start : start + _RECORDS_PER_QUERY]
        closed = select(Record.id).where(Record.id.in_(batch), Record.status.in_(("erased", "retracted")))
        if session.execute(closed.limit(1)).first() is not None:
            return True
    return False


def has_skeleton(session: Session, source_token: bytes) -> bool:
    """True if this very Bundle came before."""
    query = select(BundleSkeleton.id).where(BundleSkeleton.source_token == source_token)
    return session.execute(query).first() is not None


def reassemble_bundle(node: Node, bundle: str) -> bytes:
    """The bytes of a Bundle exactly as they were received.

    Raises:
        NotFound: there is no such Bundle, or the key of one of its records was destroyed.
        Tampered: something of it was altered.
        Unavailable: database, store or custody.
    """
    with node.database.reading() as session:
        row = session.get(BundleSkeleton, bundle)
    if row is None:
        raise NotFound("there is no such Bundle", reason="no-bundle")
    skeleton, versions = _open_skeleton(node, row)
    opened = _open_versions(node, versions)
    return reassemble(skeleton, [opened[version] for version in versions])


def _open_skeleton(node: Node, row: BundleSkeleton) -> tuple[Skeleton, list[tuple[str, int]]]:
    entry = CustodyEntry(identifier(node.random(IDENTIFIER_BYTES)), INTERNAL, 1, instant(node.clock.now()))
    binding = KeyBinding(row.object_id, row.id, 1)
    key = node.custody.unwrap_many(entry, [(binding, Wrap.parse(row.wrap))])[0]
    if isinstance(key, NoKey):
        raise NotFound("the key of the Bundle is gone", reason="no-key", place=row.id)
    with node.blobs.get(encode_bytes(row.digest)) as sealed:
        plain = unseal(sealed, key, object_id=row.object_id).whole(max_bytes=MAX_CONTENT_BYTES)
    document = json.loads(plain.content)
    if document.get("format") != _FORMAT:
        raise Invalid("the skeleton is of an unknown version", reason="wrong-skeleton")
    placed = [(record, version) for record, version in document["resources"]]
    return Skeleton.decode(document["skeleton"].encode()), placed


def _open_versions(
    node: Node, versions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], tuple[bytes, tuple[Splice, ...]]]:
    """Stored bytes and undo list of many versions."""
    opened: dict[tuple[str, int], tuple[bytes, tuple[Splice, ...]]] = {}
    for start in range(0, len(versions), _KEYS_AT_ONCE):
        for held in version_keys(node, versions[start : start + _KEYS_AT_ONCE], purpose=INTERNAL):
            with node.blobs.get(held.digest) as sealed:
                plain = unseal(sealed, held.key, object_id=held.object_id).whole(max_bytes=MAX_CONTENT_BYTES)
            undo = open_undo(held.undo, held.key, held.object_id)
            opened[held.record, held.version] = (plain.content, undo)
    return opened
