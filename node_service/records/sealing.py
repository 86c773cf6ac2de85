"""Sealing drafts, and what is derived from a record's data key: leaf, splices back to the received bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs, leaves
from domain.errors import Tampered
from domain.identifiers import IDENTIFIER_BYTES, encode_bytes, identifier
from domain.instants import instant
from node_service.context import Node
from node_service.fhir.splice import Splice, decode_splices, encode_splices
from node_service.records.drafts import Draft, SealedVersion
from offchain.envelope.composite import Manifest, seal_manifest
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey, derive_owner_salt
from offchain.envelope.seal import seal
from offchain.envelope.suite import SALT_BYTES

_NONCE_BYTES: Final = 12


def seal_draft(node: Node, draft: Draft) -> SealedVersion:
    """Seal a draft under a fresh data key and object id; nothing is written yet."""
    object_id = identifier(node.random(IDENTIFIER_BYTES))
    key = DataKey(node.random(32))
    header = Header(object_id, node.msp_id, node.random(SALT_BYTES))
    content = draft.content
    sealed = seal_manifest(content, key, header) if isinstance(content, Manifest) else seal(content, key, header)
    return SealedVersion(draft, object_id, key, sealed)


def put_sealed(node: Node, versions: Sequence[SealedVersion]) -> None:
    """Put the sealed objects into the store, and make what their wraps need; all is durable on return.

    Both are waits for a medium, so they come before the database is locked.

    Raises:
        Conflict: a record among them was erased.
        Unavailable: store or custody failed; the call may be repeated.
    """
    node.custody.prepare([version.draft.record for version in versions])
    node.blobs.put_many([version.sealed for version in versions])


def record_leaf(node: Node, version: SealedVersion, at: datetime) -> leaves.RecordLeaf:
    """The leaf of one version, with a fresh salt."""
    draft = version.draft
    salt = derive_owner_salt(version.key, version.object_id)
    return leaves.RecordLeaf(
        record=draft.record,
        version=draft.version,
        previous=None if draft.previous_leaf is None else encode_bytes(draft.previous_leaf),
        custodian=node.msp_id,
        author=draft.author,
        owner=leaves.owner_commitment(draft.owner, draft.category, salt),
        digest=version.sealed.digest,
        size_bucket=version.sealed.chunk_list.total_bytes.bit_length(),
        day=instant(at)[:10],
        salt=encode_bytes(node.random(leaves.SALT_BYTES)),
    )


def seal_undo(node: Node, version: SealedVersion) -> bytes | None:
    """The splices back to the received bytes, under a key from the data key: they die with the record.

    They are not in the sealed object, because its readers get the stored bytes and not the source's own numbers.
    """
    if not version.draft.undo:
        return None
    nonce = node.random(_NONCE_BYTES)
    cipher = AESGCM(_undo_key(version.key, version.object_id))
    return nonce + cipher.encrypt(nonce, encode_splices(version.draft.undo), None)


def open_undo(sealed: bytes | None, key: DataKey, object_id: str) -> tuple[Splice, ...]:
    """The splices back to the received bytes.

    Raises:
        Tampered: altered, or of another version.
    """
    if sealed is None:
        return ()
    cipher = AESGCM(_undo_key(key, object_id))
    try:
        encoded = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        raise Tampered("the splices of a record were altered", reason="undo", place=object_id) from None
    return decode_splices(encoded)


def _undo_key(key: DataKey, object_id: str) -> bytes:
    info = jcs.canonical(["splice-undo", object_id])
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.reveal())
