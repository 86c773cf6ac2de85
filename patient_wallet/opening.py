"""Opening one's own records with one's own wraps: nothing is shown that does not fit its leaf."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from domain import leaves
from domain.errors import Tampered
from domain.identifiers import decode_bytes
from node_service.client import wire
from node_service.client.wallet_client import WalletClient
from offchain.envelope import composite
from offchain.envelope.composite import MANIFEST_TYPE, Manifest, Member, open_manifest
from offchain.envelope.content import PlainBytes
from offchain.envelope.keys import DataKey, derive_owner_salt
from offchain.envelope.sealed import SealedBytes, SealedObject
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import KeyBinding, Wrap, unwrap_for_patient
from patient_wallet.keys import HospitalKeys

MAX_RECORD_BYTES: Final = 1 << 30
RANGE_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record that was verified against its leaf and opened.

    Attributes:
        content: the custodian's exact bytes; None for a composite record, whose members are opened one by one.
        manifest: the members of a composite record, with their keys.
    """

    entry: wire.RecordEntry
    media_type: str
    content: bytes | None = field(repr=False)
    manifest: Manifest | None = field(default=None, repr=False)


def open_record(sealed: wire.SealedRecord, data: bytes, *, keys: HospitalKeys, patient: str) -> OpenedRecord:
    """Verify a record's sealed bytes against its leaf and open them.

    Args:
        data: the sealed bytes, inline or fetched from the object route.
        patient: the own patient id at the hospital.

    Raises:
        Denied: the wrap is for another key (``no-wrap``).
        Tampered: bytes, leaf, wrap or owner do not belong together; show nothing.
        Invalid: the answer is malformed.
    """
    leaf = leaves.parse_record_leaf(decode_bytes(sealed.leaf, "leaf"))
    entry = sealed.entry
    if (leaf.record, leaf.version, leaf.custodian) != (entry.record, entry.version, keys.msp_id):
        raise Tampered("the leaf is of another record", reason="other-record", place=entry.record)
    verified = SealedBytes.of(data).verified(leaf.digest)
    binding = KeyBinding(sealed.object_id, entry.record, entry.version)
    key = unwrap_for_patient(Wrap.parse(decode_bytes(sealed.wrap, "wrap")), keys.wrap, binding)
    owner = leaves.owner_commitment(patient, entry.category, derive_owner_salt(key, sealed.object_id))
    if owner != leaf.owner:
        raise Tampered("the leaf says that this is somebody else's record", reason="owner", place=entry.record)
    return _open(entry, verified, key, sealed.object_id)


def open_member(member: Member, data: bytes) -> PlainBytes:
    """Verify and open one member of a composite record.

    Raises:
        Tampered: it is not the object that the manifest names, or not as long.
    """
    verified = SealedBytes.of(data).verified(member.digest)
    return composite.open_member(member, verified).whole(max_bytes=MAX_RECORD_BYTES)


def _open(entry: wire.RecordEntry, sealed: SealedObject, key: DataKey, object_id: str) -> OpenedRecord:
    opened = unseal(sealed, key, object_id=object_id)
    if opened.description.content_type == MANIFEST_TYPE:
        return OpenedRecord(entry, MANIFEST_TYPE, None, open_manifest(sealed, key, object_id=object_id))
    plain = opened.whole(max_bytes=MAX_RECORD_BYTES)
    return OpenedRecord(entry, plain.description.content_type, plain.content)


def fetch_object(client: WalletClient, digest: str) -> bytes:
    """The sealed bytes of an own object, range by range; nothing is verified yet.

    Raises:
        Tampered: the hospital sends more than was asked for.
    """
    data, latest = bytearray(), RANGE_BYTES
    while latest == RANGE_BYTES:
        part = client.sealed_object(digest, len(data), RANGE_BYTES)
        data += part
        latest = len(part)
        if latest > RANGE_BYTES or len(data) > MAX_RECORD_BYTES:
            raise Tampered("the hospital sends more than was asked for", reason="answer-size", place=digest)
    return bytes(data)
