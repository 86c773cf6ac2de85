"""What a reader verifies of every released record before anybody sees it.

Procedure (architecture.md, "Shared read"): 1 the leaf is of the asked custodian, record and version; 2 its path leads
to a head that the own projection holds as anchored; 3 the digest over the sealed bytes is the leaf's; 4 the wraps open
with the own one-use key; 5 the owner commitment is the patient's; 6 a contributed record bears its author's signature;
7 the object opens, whole; 8 the ledger had not closed the record before it was asked for. Whatever another hospital
sends and breaks a rule is ``Tampered``: it is no mistake of the caller's.

Step 8 accuses only by evidence. A release names no block, but its request does: the newest that the reader's own
projection held (``Opening.block``), and a custodian decides on a view that has it. What a status in that block or an
earlier one closed was released wrongly. A later status may have overtaken the release, and is no custodian's fault:
the record is left out.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain import ed25519, jcs, leaves, paths
from domain.entries import StatusEntry
from domain.errors import Denied, Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from domain.leaves import RecordLeaf
from node_service.client import wire
from node_service.database.models import AnchoredHead
from node_service.fhir.types import DIRECTORY_TYPES
from node_service.ledger_sync import projection
from node_service.ledger_sync.registry import organization
from node_service.logs.log import RECORDS
from node_service.records.drafts import FHIR_JSON
from offchain.envelope.composite import MANIFEST_TYPE, Manifest, open_manifest
from offchain.envelope.content import PlainBytes
from offchain.envelope.hpke import RecipientPrivateKey
from offchain.envelope.keys import DataKey, SessionKey, derive_owner_salt
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import KeyBinding, Wrap, unwrap_for_access, unwrap_session

MAX_CONTENT_BYTES = 512 << 20
MAX_RESOURCE_DEPTH = 128


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reader asked for: nothing of it comes from the answer.

    Attributes:
        block: named in the request: the custodian has seen it before it released anything.
    """

    custodian: str
    patient: str
    access: str
    block: int


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf under an anchored head; ``block`` is where the head stands on the ledger."""

    entry: wire.RecordEntry
    leaf: RecordLeaf
    block: int


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """An opened record: the custodian's exact bytes, or the manifest of a composite record."""

    entry: wire.RecordEntry
    digest: str
    block: int
    content: PlainBytes = field(repr=False)
    manifest: Manifest | None = field(repr=False)


def open_session(session: str, private_key: RecipientPrivateKey, access: str) -> SessionKey:
    """The session key of a release, with the own one-use key.

    Raises:
        Tampered: sealed to another key or access, or altered.
    """
    with foreign_input():
        return unwrap_session(Wrap.parse(decode_bytes(session, "session")), private_key, access)


def verify_leaf(session: Session, expected: Expected, item: wire.SealedRecord) -> VerifiedLeaf | None:
    """Steps 1, 2, 6 and 8: leaf, path, author, status, on the own projection.

    Returns:
        None where the record was erased, retracted or locked after it was asked for.

    Raises:
        Tampered: any of them does not fit.
        Unavailable: the own projection has not seen a head of that size yet.
    """
    with foreign_input():
        encoded = decode_bytes(item.leaf, "leaf")
        leaf = leaves.parse_record_leaf(encoded)
        entry = item.entry
        if (leaf.custodian, leaf.record, leaf.version) != (expected.custodian, entry.record, entry.version):
            raise Tampered("the leaf is of another record", reason="leaf", place=entry.record)
        if item.path is None:
            raise Tampered("a released record has no path to an anchored head", reason="inclusion", place=entry.record)
        head = _anchored_head(session, expected.custodian, item.path)
        path = paths.LeafPath(item.path.incarnation, item.path.index, item.path.size, tuple(item.path.hashes))
        paths.verify_leaf(encoded, path, encode_bytes(head.root))
        _verify_author(session, leaf)
        is_closed = _is_closed(session, expected, entry.record)
    return None if is_closed else VerifiedLeaf(entry, leaf, head.block)


def open_record(
    expected: Expected, item: wire.SealedRecord, verified: VerifiedLeaf, session_key: SessionKey, data: bytes
) -> VerifiedRecord:
    """Steps 3, 4, 5 and 7: digest, wrap, owner, content.

    Args:
        data: the sealed object, out of the item or fetched.

    Raises:
        Tampered: any of them does not fit.
    """
    with foreign_input():
        sealed = SealedBytes.of(data)
        if sealed.digest != verified.leaf.digest:
            raise Tampered("the sealed bytes are not the anchored ones", reason="digest", place=verified.leaf.record)
        if [encode_bytes(value) for value in sealed.chunk_list.hashes] != item.chunks:
            raise Tampered("the chunk list is not that of the object", reason="chunk-list", place=verified.leaf.record)
        binding = KeyBinding(item.object_id, verified.leaf.record, verified.leaf.version)
        key = unwrap_for_access(Wrap.parse(decode_bytes(item.wrap, "wrap")), session_key, expected.access, binding)
        _verify_owner(expected, item, verified, key)
        opened = sealed.verified(sealed.digest)
        content = unseal(opened, key, object_id=item.object_id).whole(max_bytes=MAX_CONTENT_BYTES)
        is_manifest = content.description.content_type == MANIFEST_TYPE
        manifest = open_manifest(opened, key, object_id=item.object_id) if is_manifest else None
        _verify_type(item.entry, content)
    return VerifiedRecord(item.entry, sealed.digest, verified.block, content, manifest)


@contextmanager
def foreign_input() -> Iterator[None]:
    """What breaks a rule in another hospital's answer is an alarm, not the caller's mistake."""
    try:
        yield
    except (Invalid, Denied, NotFound) as error:
        raise Tampered(error.detail, reason=error.reason, place=error.place) from error


def _anchored_head(session: Session, custodian: str, path: wire.Path) -> AnchoredHead:
    head = session.get(AnchoredHead, (custodian, path.incarnation, RECORDS, path.size))
    if head is not None:
        return head
    newest = select(func.max(AnchoredHead.size)).filter_by(msp_id=custodian, incarnation=path.incarnation, log=RECORDS)
    if path.size < (session.execute(newest).scalar_one_or_none() or 0):
        raise Tampered("no head of this size was ever anchored", reason="inclusion")
    raise Unavailable("the anchored head has not been seen here yet", reason="head-not-seen")


def _verify_author(session: Session, leaf: RecordLeaf) -> None:
    author = leaf.author
    if author is None:
        return
    verify_author_signature(session, leaf.custodian, leaf.record, leaf.digest, author)


def verify_author_signature(session: Session, custodian: str, record: str, digest: str, author: leaves.Author) -> None:
    """Verify a contributing hospital's signature with its key in the registry, also if key or membership ended since.

    Raises:
        Tampered: no such key, or the signature does not fit.
    """
    member = organization(session, author.msp_id)
    keys = [key for key in (member.keys if member else ()) if (key.use, key.kid) == ("signing", author.kid)]
    if not keys:
        raise Tampered("the author's key is not in the registry", reason="author", place=record)
    message = leaves.author_message(record, digest, author.msp_id, custodian)
    ed25519.verify_signature(
        decode_bytes(keys[0].key, "key", length=32), decode_bytes(author.signature, "signature", length=64), message
    )


def _is_closed(session: Session, expected: Expected, record: str) -> bool:
    """Whether the ledger calls the record erased, retracted or locked since it was asked for.

    Raises:
        Tampered: it did before.
    """
    closing = projection.written(session, StatusEntry, expected.custodian, record)
    if closing is None:
        return False
    status, block = closing
    if block <= expected.block:
        raise Tampered("a record that the ledger calls wrong was released", reason=status.status, place=record)
    return True


def _verify_owner(expected: Expected, item: wire.SealedRecord, verified: VerifiedLeaf, key: DataKey) -> None:
    """The leaf commits to whose record it is; a directory record commits to being one."""
    owner = expected.patient if item.entry.kind == "patient" else "directory"
    computed = leaves.owner_commitment(owner, item.entry.category, derive_owner_salt(key, item.object_id))
    if item.entry.kind == "institution" or not hmac.compare_digest(computed, verified.leaf.owner):
        raise Tampered("the record is not of this patient", reason="owner", place=item.entry.record)
    if item.entry.kind == "directory" and item.entry.resource_type not in DIRECTORY_TYPES:
        raise Tampered("a directory record is of another type", reason="owner", place=item.entry.record)


def _verify_type(entry: wire.RecordEntry, content: PlainBytes) -> None:
    if content.description.content_type.partition(";")[0] != FHIR_JSON:
        return
    resource = jcs.load(content.content, max_bytes=MAX_CONTENT_BYTES, max_depth=MAX_RESOURCE_DEPTH)
    if not isinstance(resource, dict) or resource.get("resourceType") != entry.resource_type:
        raise Tampered("the content is of another type than was said", reason="type", place=entry.record)
