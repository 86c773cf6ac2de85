"""Statements that patients sign (docs/formats/ledger.md, "Statements").

What is signed is the JCS text itself; it travels verbatim as a string, so nobody encodes it again before verifying.
Every statement names its type, channel, contract, custodian and patient id, both epochs, a random id by which it is
accepted once, and the time until which it may be put on the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from domain import checks, ed25519, jcs, wire, x25519
from domain.errors import Invalid
from domain.identifiers import (
    check_code,
    check_digest,
    check_identifier,
    check_msp_id,
    decode_bytes,
)
from domain.instants import check_instant
from domain.vocabulary import CATEGORIES, CONTRACT, PATIENT_WRAP_ALG, PERMISSIONS, PURPOSES

VERSION: Final = 1
MAX_STATEMENT_BYTES: Final = 16 * 1024
MAX_EPOCH: Final = 1_000_000
MAX_FLOOR_STEP: Final = 1000
"""How far one ``revoke-all`` raises the floor at most, and below how much above the floor a grant's epoch must lie."""


@dataclass(frozen=True, slots=True)
class PatientKeys:
    """A patient's public keys at one hospital: Ed25519 for statements, X25519 for wraps (both base64url)."""

    signing_alg: str
    signing: str
    wrap_alg: str
    wrap: str

    def __post_init__(self) -> None:
        checks.check_member(self.signing_alg, "signing_alg", (ed25519.ALG,))
        checks.check_member(self.wrap_alg, "wrap_alg", (PATIENT_WRAP_ALG,))
        if not ed25519.is_strict_public_key(decode_bytes(self.signing, "signing", length=32)):
            raise Invalid("the signing key is not a point of the prime-order subgroup", place="signing")
        x25519.check_public_key(decode_bytes(self.wrap, "wrap", length=x25519.PUBLIC_KEY_BYTES), "wrap")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every statement says besides its body."""

    id: str
    channel: str
    patient: str
    custodian: str
    key_epoch: int
    grant_epoch: int
    anchor_by: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")
        check_code(self.channel, "channel")
        check_identifier(self.patient, "patient")
        check_msp_id(self.custodian, "custodian")
        checks.check_integer(self.key_epoch, "key_epoch", low=1, high=MAX_EPOCH)
        checks.check_integer(self.grant_epoch, "grant_epoch", low=1, high=MAX_EPOCH)
        check_instant(self.anchor_by, "anchor_by")


@dataclass(frozen=True, slots=True)
class Enrol:
    """Proof of possession of the keys that the custodian binds to the patient id."""

    keys: PatientKeys

    def __post_init__(self) -> None:
        _nest(self, "keys", PatientKeys)


@dataclass(frozen=True, slots=True)
class Rotate:
    """New keys; signed by the old signing key and by the new one."""

    keys: PatientKeys

    def __post_init__(self) -> None:
        _nest(self, "keys", PatientKeys)


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What a grant allows; the full FHIR Consent behind ``consent_digest`` can only narrow it.

    Attributes:
        grantee: MSP id of the organisation that may read.
        practitioner: pseudonym of the only practitioner, or None for whoever the organisation lets.
        categories, purposes, permissions: sorted codes of domain.vocabulary.
        valid_from, valid_until: the grant is live from the first up to, not including, the second instant.
        recorded_until: only records stored at the custodian before this instant; None for also later ones.
        consent_digest: HMAC-SHA-256 keyed with a 256-bit salt over the JCS of the full FHIR Consent.
        request: id of the access request that this answers, or None.
    """

    grantee: str
    practitioner: str | None
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    permissions: tuple[str, ...]
    valid_from: str
    valid_until: str
    recorded_until: str | None
    consent_digest: str
    request: str | None

    def __post_init__(self) -> None:
        check_msp_id(self.grantee, "grantee")
        checks.check_optional(self.practitioner, "practitioner", check_identifier)
        checks.check_members(self.categories, "categories", CATEGORIES)
        checks.check_members(self.purposes, "purposes", PURPOSES)
        checks.check_members(self.permissions, "permissions", PERMISSIONS)
        if check_instant(self.valid_from, "valid_from") >= check_instant(self.valid_until, "valid_until"):
            raise Invalid("the grant ends before it begins", place="valid_until")
        checks.check_optional(self.recorded_until, "recorded_until", check_instant)
        check_digest(self.consent_digest, "consent_digest")
        checks.check_optional(self.request, "request", check_identifier)


@dataclass(frozen=True, slots=True)
class DissentTerms:
    """A refusal that no grant overcomes; purpose BTG closes the break-glass door too."""

    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    consent_digest: str

    def __post_init__(self) -> None:
        checks.check_members(self.categories, "categories", CATEGORIES)
        checks.check_members(self.purposes, "purposes", (*PURPOSES, "BTG"))
        check_digest(self.consent_digest, "consent_digest")


@dataclass(frozen=True, slots=True)
class Revoke:
    """Ends one grant or withdraws one dissent, also one that is not on the ledger yet (tombstone)."""

    kind: str
    target: str

    def __post_init__(self) -> None:
        checks.check_member(self.kind, "kind", ("grant", "dissent"))
        check_identifier(self.target, "target")


@dataclass(frozen=True, slots=True)
class RevokeEverything:
    """Raises the lowest valid grant epoch to ``floor``, at most by ``MAX_FLOOR_STEP``; grants under lower ones die."""

    floor: int

    def __post_init__(self) -> None:
        checks.check_integer(self.floor, "floor", low=2, high=MAX_EPOCH)


@dataclass(frozen=True, slots=True)
class Session:
    """The wallet's answer to a node's nonce; never on the ledger."""

    audience: str
    nonce: str

    def __post_init__(self) -> None:
        check_msp_id(self.audience, "audience")
        decode_bytes(self.nonce, "nonce", length=32)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Asks for erasure of records named only by SHA-256(JCS [record ids, 256-bit salt])."""

    records_digest: str

    def __post_init__(self) -> None:
        check_digest(self.records_digest, "records_digest")


Body = Enrol | Rotate | GrantTerms | DissentTerms | Revoke | RevokeEverything | Session | Erasure

TYPES: Final[Mapping[str, type[Body]]] = MappingProxyType(
    {
        "enrol": Enrol,
        "rotate": Rotate,
        "grant": GrantTerms,
        "dissent": DissentTerms,
        "revoke": Revoke,
        "revoke-all": RevokeEverything,
        "session": Session,
        "erasure": Erasure,
    }
)
_TYPE_OF: Final = {kind: name for name, kind in TYPES.items()}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: its envelope and its body."""

    envelope: Envelope
    body: Body

    @property
    def type(self) -> str:
        """The statement's type as it is written."""
        return _TYPE_OF[type(self.body)]

    def encode(self) -> str:
        """The JCS text that is signed."""
        fields: jcs.JsonObject = {"type": self.type, "v": VERSION, "contract": CONTRACT}
        fields.update(wire.to_json(self.envelope))
        fields["body"] = wire.to_json(self.body)
        return jcs.canonical(fields).decode()


def parse(text: object) -> Statement:
    """Read a statement from its signed text.

    Raises:
        Invalid: not canonical, of an unknown type or version, for another contract, or a field breaks a rule.
    """
    if not isinstance(text, str):
        raise Invalid("a statement is a text", place="statement")
    fields = jcs.parse_object(text.encode("utf-8", "surrogatepass"), max_bytes=MAX_STATEMENT_BYTES)
    kind = fields.pop("type", None)
    if not isinstance(kind, str) or kind not in TYPES:
        raise Invalid("the type of statement is not known", place="statement.type")
    checks.check_integer(fields.pop("v", None), "statement.v", low=VERSION, high=VERSION)
    checks.check_member(fields.pop("contract", None), "statement.contract", (CONTRACT,))
    body: Body = wire.from_json(TYPES[kind], fields.pop("body", None), "statement.body")
    return Statement(wire.from_json(Envelope, fields, "statement"), body)


def verify(text: str, signature: str, signing_key: str) -> Statement:
    """Verify a signed statement and read it.

    Args:
        text: the signed JCS text.
        signature: base64url of the 64-byte Ed25519 signature over the text's UTF-8 bytes.
        signing_key: base64url of the signer's public key.

    Raises:
        Invalid: the text or the encodings break a rule.
        Tampered: the signature does not fit.
    """
    statement = parse(text)
    ed25519.verify_text(text, signature, signing_key)
    return statement


def _nest(owner: object, name: str, kind: type[PatientKeys]) -> None:
    value = getattr(owner, name)
    if not isinstance(value, kind):
        object.__setattr__(owner, name, wire.from_json(kind, value, name))
