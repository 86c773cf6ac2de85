"""Received Bundles: the skeleton is sealed and stored, so that the received bytes can be put together again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from domain.errors import Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.context import Node
from node_service.database.models import BundleEntry, BundleSkeleton
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
    """Seal what is left of a Bundle and put it into the store.

    Args:
        node: the hospital.
        source_token: blind identity of the received Bundle.
        bundle: its parts.
        placed: record and version by entry; resources without one stay in the skeleton as received.

    Raises:
        Unavailable: the store failed.
    """
    parts = [
        list(placed[number]) if number in placed else encoded.decode()
        for number, encoded in received_bytes(bundle.entries)
    ]
    document = {"format": _FORMAT, "resources": parts, "skeleton": bundle.skeleton.encode().decode()}
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    object_id = identifier(node.random(IDENTIFIER_BYTES))
    key = DataKey(node.random(32))
    header = Header(object_id, node.msp_id, node.random(SALT_BYTES))
    sealed: SealedBytes = seal(PlainBytes(content, Description(SKELETON_TYPE)), key, header)
    node.blobs.put(sealed)
    records = frozenset(record for record, _ in placed.values())
    return SealedSkeleton(
        identifier(node.random(IDENTIFIER_BYTES)), object_id, source_token, sealed.digest, key, records
    )


def write_skeleton(node: Node, session: Session, skeleton: SealedSkeleton) -> None:
    """Write the row in the caller's transaction."""
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
    skeleton, parts = _open_skeleton(node, row)
    versions = [(part[0], part[1]) for part in parts if isinstance(part, list)]
    opened = _open_versions(node, versions)
    return reassemble(
        skeleton,
        [opened[part[0], part[1]] if isinstance(part, list) else (part.encode(), ()) for part in parts],
    )


def _open_skeleton(node: Node, row: BundleSkeleton) -> tuple[Skeleton, list[Any]]:
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
    return Skeleton.decode(document["skeleton"].encode()), document["resources"]


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
