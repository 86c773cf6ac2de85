"""Leaves of a hospital's two append-only logs, and the commitments in them (docs/formats/ledger.md, "Leaves").

A leaf's hash is SHA-256(0x00 ‖ JCS bytes), RFC 6962 section 2.1. Leaf and path travel with every release; only roots go
on the ledger.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from domain import jcs, merkle, wire
from domain.checks import check_integer, check_member, check_optional, check_sequence
from domain.errors import Invalid
from domain.identifiers import (
    check_code,
    check_digest,
    check_identifier,
    check_msp_id,
    decode_bytes,
    encode_bytes,
)
from domain.instants import check_instant

VERSION: Final = 1
SALT_BYTES: Final = 32
MAX_LEAF_BYTES: Final = 64 * 1024
ACCESS_ACTIONS: Final = (
    "read", "search", "release", "break-glass", "deny", "export", "create",
    "enrol", "grant", "revoke", "dissent", "review", "erase", "retract", "lock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Author:
    """The organisation that contributed a record, and its signature over the anchored digest and record id."""

    msp_id: str
    kid: str
    alg: str
    signature: str

    def __post_init__(self) -> None:
        check_msp_id(self.msp_id, "msp_id")
        check_code(self.kid, "kid")
        check_member(self.alg, "alg", ("Ed25519",))
        decode_bytes(self.signature, "signature", length=64)


@dataclass(frozen=True, slots=True)
class RecordLeaf:
    """One version of one record.

    Attributes:
        previous: leaf hash of the version before, None for version 1.
        owner: :func:`owner_commitment`, which only its salt's holders can link to a patient.
        digest: anchored digest of the sealed object (records-and-keys, "Sealed object").
        size_bucket: bit length of the sealed object's length in bytes.
        day: UTC day on which the custodian stored it, ``YYYY-MM-DD``.
        salt: 256 random bits that blind the leaf's hash.
    """

    record: str
    version: int
    previous: str | None
    custodian: str
    author: Author | None
    owner: str
    digest: str
    size_bucket: int
    day: str
    salt: str

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_integer(self.version, "version", low=1)
        check_optional(self.previous, "previous", check_digest)
        if (self.version == 1) != (self.previous is None):
            raise Invalid("version 1, and no other, has no previous leaf", place="previous")
        check_msp_id(self.custodian, "custodian")
        if self.author is not None and not isinstance(self.author, Author):
            object.__setattr__(self, "author", wire.from_json(Author, self.author, "author"))
        check_digest(self.owner, "owner")
        check_digest(self.digest, "digest")
        check_integer(self.size_bucket, "size_bucket", high=63)
        check_instant(f"{self.day}T00:00:00Z", "day")
        decode_bytes(self.salt, "salt", length=SALT_BYTES)


@dataclass(frozen=True, slots=True)
class AccessLeaf:
    """One row of a hospital's access log: who did what with which records, and how it ended.

    Attributes:
        organisation: MSP id of the organisation whose person or program acted.
        actor: pseudonym of the practitioner, or a code such as ``patient`` or ``system``.
        access: ledger id of the access or emergency under which another organisation acted, else None.
        patient: patient id at this hospital, None where the row concerns none.
        records: ids of the records read or released, in order.
        outcome: ``ok`` or the reason code of the refusal.
        salt: 256 random bits that blind the row's hash.
    """

    id: str
    at: str
    action: str
    organisation: str
    actor: str
    purpose: str | None
    access: str | None
    patient: str | None
    records: tuple[str, ...]
    outcome: str
    salt: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")
        check_instant(self.at, "at")
        check_member(self.action, "action", ACCESS_ACTIONS)
        check_msp_id(self.organisation, "organisation")
        check_code(self.actor, "actor")
        check_optional(self.purpose, "purpose", check_code)
        check_optional(self.access, "access", check_identifier)
        check_optional(self.patient, "patient", check_identifier)
        for record in check_sequence(self.records, "records", max_items=1000):
            check_identifier(record, "records")
        check_code(self.outcome, "outcome")
        decode_bytes(self.salt, "salt", length=SALT_BYTES)


def encode(leaf: RecordLeaf | AccessLeaf) -> bytes:
    """The JCS bytes of a leaf, version named."""
    return jcs.canonical({"v": VERSION, **wire.to_json(leaf)})


def parse_record_leaf(encoded: bytes) -> RecordLeaf:
    """Read a record leaf.

    Raises:
        Invalid: not canonical, another version, or a field breaks a rule.
    """
    return wire.from_json(RecordLeaf, _versioned(encoded), "leaf")


def parse_access_leaf(encoded: bytes) -> AccessLeaf:
    """Read an access-log leaf.

    Raises:
        Invalid: not canonical, another version, or a field breaks a rule.
    """
    return wire.from_json(AccessLeaf, _versioned(encoded), "leaf")


def leaf_hash(leaf: RecordLeaf | AccessLeaf) -> str:
    """The leaf's RFC 6962 hash in base64url."""
    return encode_bytes(merkle.leaf_hash(encode(leaf)))


def owner_commitment(patient: str, category: str, owner_salt: bytes) -> str:
    """SHA-256(JCS ["owner", patient id, category, salt]): ties a leaf to a patient for whoever holds the salt."""
    return _commit("owner", patient, category, encode_bytes(_checked_salt(owner_salt)))


def subject_tag(patient: str, salt: bytes) -> str:
    """SHA-256(JCS ["subject", patient id, salt]): binds an emergency to a patient without naming them."""
    return _commit("subject", patient, encode_bytes(_checked_salt(salt)))


def keyed_digest(content: object, salt: bytes) -> str:
    """HMAC-SHA-256 over the JCS of a value, keyed with a 256-bit salt (Consents, readers' names, notes)."""
    return encode_bytes(hmac.digest(_checked_salt(salt), jcs.canonical(content), "sha256"))


def author_message(record: str, digest: str, author: str, custodian: str) -> bytes:
    """What a contributing organisation signs."""
    return jcs.canonical(["contribution", record, digest, author, custodian])


def _versioned(encoded: bytes) -> jcs.JsonObject:
    fields = jcs.parse_object(encoded, max_bytes=MAX_LEAF_BYTES)
    check_integer(fields.pop("v", None), "leaf.v", low=VERSION, high=VERSION)
    return fields


def _commit(*parts: str) -> str:
    return encode_bytes(hashlib.sha256(jcs.canonical(list(parts))).digest())


def _checked_salt(salt: bytes) -> bytes:
    if len(salt) != SALT_BYTES:
        raise Invalid("a salt of 32 bytes is expected", place="salt")
    return salt
