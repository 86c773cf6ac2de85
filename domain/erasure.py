"""What an erasure statement names, and the certificate that answers it (docs/formats/ledger.md, "Erasure").

The statement names records only by SHA-256(JCS [[sorted record ids], 256-bit salt]), so that the ledger never links a
patient to a record. The certificate is JCS text, signed by the custodian's ``signing`` key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from domain import ed25519, jcs, wire
from domain.checks import check_integer, check_member, check_optional, check_sequence
from domain.errors import Invalid
from domain.identifiers import (
    check_code,
    check_digest,
    check_identifier,
    check_msp_id,
    encode_bytes,
)
from domain.instants import check_instant
from domain.transactions import MAX_RECORDS

VERSION: Final = 1
VERSION_WITH_WAITING: Final = 2
"""Written only where a store still waits, so that everything else reads as before."""
TYPE: Final = "erasure-certificate"
SALT_BYTES: Final = 32
MAX_CERTIFICATE_BYTES: Final = 1 << 20
MAX_CERTIFIED_RECORDS: Final = 1000
MAX_HOLDERS: Final = 1000
MAX_STORES: Final = 8


def records_digest(records: Sequence[str], salt: bytes) -> str:
    """What an erasure statement says instead of the record ids.

    Raises:
        Invalid: ids are none, unsorted, doubled or too many, or the salt has not 32 bytes.
    """
    ids = [check_identifier(one, "records") for one in records]
    if not 0 < len(ids) <= MAX_RECORDS or ids != sorted(set(ids)):
        raise Invalid(f"1 to {MAX_RECORDS} record ids are expected, sorted, none given twice", place="records")
    if len(salt) != SALT_BYTES:
        raise Invalid("a salt has 32 bytes", place="salt")
    return encode_bytes(hashlib.sha256(jcs.canonical([ids, encode_bytes(salt)])).digest())


@dataclass(frozen=True, slots=True)
class Attested:
    """A hospital that had the record and says what became of its copies; None: they are destroyed."""

    msp_id: str
    retained_until: str | None

    def __post_init__(self) -> None:
        check_msp_id(self.msp_id, "msp_id")
        check_optional(self.retained_until, "retained_until", check_instant)


@dataclass(frozen=True, slots=True)
class Missing:
    """A hospital that had the record and has not attested: not told yet, told, or it says that it never had it."""

    msp_id: str
    reason: str

    def __post_init__(self) -> None:
        check_msp_id(self.msp_id, "msp_id")
        check_member(self.reason, "reason", ("not-told", "told", "unknown-there"))


@dataclass(frozen=True, slots=True)
class WaitingStore:
    """A store of the custodian that is down since before it could delete the sealed objects, which no key opens."""

    store: str
    since: str

    def __post_init__(self) -> None:
        check_code(self.store, "store")
        check_instant(self.since, "since")


@dataclass(frozen=True, slots=True)
class ErasedRecord:
    """One record whose keys are destroyed.

    Attributes:
        tx_id: of ``EraseRecord``.
        keys_destroyed_at: since when the custodian opens no wrap of it.
        final_by: from when on no backup of the keys opens them either, at the latest.
        final_at: when that was so; None: not yet.
        waiting: stores of the custodian where the sealed objects may still lie.
    """

    record: str
    tx_id: str
    erased_at: str
    keys_destroyed_at: str
    final_by: str
    attested: tuple[Attested, ...]
    missing: tuple[Missing, ...]
    final_at: str | None = None
    waiting: tuple[WaitingStore, ...] = ()

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_code(self.tx_id, "tx_id")
        for name in ("erased_at", "keys_destroyed_at", "final_by"):
            check_instant(getattr(self, name), name)
        check_optional(self.final_at, "final_at", check_instant)
        _nest(self, "attested", Attested, MAX_HOLDERS)
        _nest(self, "missing", Missing, MAX_HOLDERS)
        _nest(self, "waiting", WaitingStore, MAX_STORES)


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """One record that has to be kept until a time, by a rule of the hospital's retention rules or a legal hold."""

    record: str
    until: str
    rule: str

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_instant(self.until, "until")
        check_code(self.rule, "rule")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the custodian certifies about one case.

    Attributes:
        case: id of the case; the patient's statement where there is one.
        statement: id of the patient's statement, None where the hospital erased by itself.
        records_digest: what the statement names.
    """

    channel: str
    custodian: str
    kid: str
    case: str
    statement: str | None
    records_digest: str
    issued_at: str
    erased: tuple[ErasedRecord, ...]
    kept: tuple[KeptRecord, ...] = field(default=())

    def __post_init__(self) -> None:
        check_code(self.channel, "channel")
        check_msp_id(self.custodian, "custodian")
        check_code(self.kid, "kid")
        check_identifier(self.case, "case")
        check_optional(self.statement, "statement", check_identifier)
        check_digest(self.records_digest, "records_digest")
        check_instant(self.issued_at, "issued_at")
        _nest(self, "erased", ErasedRecord, MAX_CERTIFIED_RECORDS)
        _nest(self, "kept", KeptRecord, MAX_CERTIFIED_RECORDS)

    def encode(self) -> str:
        """The JCS text that is signed."""
        version = VERSION_WITH_WAITING if any(one.waiting for one in self.erased) else VERSION
        fields: jcs.JsonObject = {"v": version, "type": TYPE, "alg": ed25519.ALG}
        fields.update(wire.to_json(self))
        if version == VERSION:
            fields["erased"] = [_without_waiting(one) for one in self.erased]
        return jcs.canonical(fields).decode()


def parse_certificate(text: str) -> Certificate:
    """Read a certificate from its signed text.

    Raises:
        Invalid: not canonical, of another type or version, or a field breaks a rule.
    """
    fields = jcs.parse_object(text.encode("utf-8", "surrogatepass"), max_bytes=MAX_CERTIFICATE_BYTES)
    version = check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION_WITH_WAITING)
    check_member(fields.pop("type", None), "type", (TYPE,))
    check_member(fields.pop("alg", None), "alg", (ed25519.ALG,))
    items = fields.get("erased")
    if version == VERSION and isinstance(items, list):
        fields["erased"] = [_with_waiting(one) for one in items]
    certificate = wire.from_json(Certificate, fields, "certificate")
    if (version == VERSION_WITH_WAITING) != any(one.waiting for one in certificate.erased):
        raise Invalid("the version is the one without, or with stores that wait", place="v")
    return certificate


def verify_certificate(text: str, signature: str, signing_key: str) -> Certificate:
    """Verify a certificate by the custodian's key and read it.

    Args:
        text: the signed JCS text.
        signature: base64url of the Ed25519 signature over the text's UTF-8 bytes.
        signing_key: base64url of the custodian's ``signing`` key whose ``kid`` the certificate names.

    Raises:
        Invalid: the text or the encodings break a rule.
        Tampered: the signature does not fit.
    """
    certificate = parse_certificate(text)
    ed25519.verify_text(text, signature, signing_key)
    return certificate


_Nested = Attested | Missing | WaitingStore | ErasedRecord | KeptRecord


def _without_waiting(one: ErasedRecord) -> jcs.JsonObject:
    fields = wire.to_json(one)
    del fields["waiting"]
    return fields


def _with_waiting(item: jcs.JsonValue) -> jcs.JsonValue:
    """Version 1 has no such field: one that is there all the same is left for the reader to refuse."""
    if not isinstance(item, dict) or "waiting" in item:
        raise Invalid("version 1 names no stores", place="erased")
    return {**item, "waiting": []}


def _nest(owner: object, name: str, kind: type[_Nested], max_items: int) -> None:
    items = check_sequence(getattr(owner, name), name, max_items=max_items)
    values = tuple(item if isinstance(item, kind) else wire.from_json(kind, item, name) for item in items)
    object.__setattr__(owner, name, values)
