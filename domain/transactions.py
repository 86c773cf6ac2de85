"""The transactions of the contract: names and argument types (docs/formats/ledger.md, "Transactions").

A transaction's arguments are one JCS object. The caller's organisation is never among them: it comes from the creator's
certificate. No transaction holds both a patient id and a record id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from domain import jcs, vocabulary, wire
from domain.checks import check_integer, check_member, check_members, check_optional, check_sequence, check_text
from domain.errors import Invalid
from domain.identifiers import check_code, check_digest, check_identifier, check_msp_id, decode_bytes
from domain.instants import check_instant
from domain.statements import MAX_STATEMENT_BYTES

MAX_ARGUMENT_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 32
MAX_PROOF_HASHES: Final = 128
MAX_URL_CHARACTERS: Final = 256
MAX_RECORDS: Final = 200
MAX_EMERGENCY_SECONDS: Final = 4 * 3600
MAX_ACCESS_SECONDS: Final = 15 * 60

_MAX_KEY_BYTES: Final = max(vocabulary.KEY_BYTES.values())
_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class OrganizationKey:
    """A published key of an organisation; ``key`` is base64url (for ``tls`` the certificate's SHA-256)."""

    use: str
    alg: str
    kid: str
    key: str
    valid_from: str
    valid_until: str | None

    def __post_init__(self) -> None:
        check_member(self.use, "use", vocabulary.KEY_USES)
        check_member(self.alg, "alg", (vocabulary.KEY_ALGORITHMS[self.use],))
        check_code(self.kid, "kid")
        decode_bytes(self.key, "key", length=vocabulary.KEY_BYTES[self.use], max_length=_MAX_KEY_BYTES)
        check_instant(self.valid_from, "valid_from")
        check_optional(self.valid_until, "valid_until", check_instant)


@dataclass(frozen=True, slots=True)
class RegisterOrganization:
    """The calling organisation enters itself into the registry; ``witness_url`` is None where it runs no witness."""

    url: str
    keys: tuple[OrganizationKey, ...]
    witness_url: str | None = None

    def __post_init__(self) -> None:
        check_url(self.url, "url")
        check_optional(self.witness_url, "witness_url", check_url)
        items = check_sequence(self.keys, "keys", max_items=MAX_KEYS, min_items=1)
        keys = tuple(k if isinstance(k, OrganizationKey) else wire.from_json(OrganizationKey, k, "keys") for k in items)
        if len({key.kid for key in keys}) != len(keys):
            raise Invalid("two keys have the same kid", place="keys")
        object.__setattr__(self, "keys", keys)


@dataclass(frozen=True, slots=True)
class UpdateOrganization(RegisterOrganization):
    """Replaces addresses and keys of the calling organisation; a published key may be ended, never removed."""


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A patient's statement as signed text with its signature."""

    statement: str
    signature: str

    def __post_init__(self) -> None:
        check_text(self.statement, "statement", max_characters=MAX_STATEMENT_BYTES)
        decode_bytes(self.signature, "signature", length=64)


@dataclass(frozen=True, slots=True)
class RegisterPatient(SignedStatement):
    """The custodian binds a patient's keys (statement ``enrol``) to the patient id."""


@dataclass(frozen=True, slots=True)
class AuthorizeAccess(SignedStatement):
    """Puts a grant (statement ``grant``) on the ledger; any member may relay it."""


@dataclass(frozen=True, slots=True)
class Dissent(SignedStatement):
    """Puts a dissent (statement ``dissent``) on the ledger."""


@dataclass(frozen=True, slots=True)
class RevokeAccess(SignedStatement):
    """Revokes one grant or withdraws one dissent (statement ``revoke``)."""


@dataclass(frozen=True, slots=True)
class RevokeAll(SignedStatement):
    """Raises the floor of grant epochs (statement ``revoke-all``)."""


@dataclass(frozen=True, slots=True)
class RotateKey(SignedStatement):
    """New patient keys (statement ``rotate``), signed by the old key and by the new one."""

    new_signature: str

    def __post_init__(self) -> None:
        SignedStatement.__post_init__(self)
        decode_bytes(self.new_signature, "new_signature", length=64)


@dataclass(frozen=True, slots=True)
class CloseRegistration:
    """The custodian ends a registration; every grant of the patient ends with it."""

    patient: str
    reason: str

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")
        check_member(self.reason, "reason", vocabulary.CLOSE_REASONS)


@dataclass(frozen=True, slots=True)
class LogHead:
    """The head of an RFC 6962 log and the proof that it continues the last anchored one (empty for the first)."""

    size: int
    root: str
    proof: tuple[str, ...]

    def __post_init__(self) -> None:
        check_integer(self.size, "size")
        check_digest(self.root, "root")
        for digest in check_sequence(self.proof, "proof", max_items=MAX_PROOF_HASHES):
            check_digest(digest, "proof")


@dataclass(frozen=True, slots=True)
class Opening:
    """Why a hospital opens its next log incarnation, and the sizes that it still holds of the last one."""

    reason: str
    records_size: int
    access_size: int

    def __post_init__(self) -> None:
        check_member(self.reason, "reason", vocabulary.INCARNATION_REASONS)
        check_integer(self.records_size, "records_size")
        check_integer(self.access_size, "access_size")


@dataclass(frozen=True, slots=True)
class Anchor:
    """New heads of the calling hospital's record log and access log; one anchor covers any number of new leaves."""

    incarnation: int
    opening: Opening | None
    records: LogHead
    access: LogHead
    unwraps: int

    def __post_init__(self) -> None:
        check_integer(self.incarnation, "incarnation", low=1)
        check_integer(self.unwraps, "unwraps")
        if self.opening is not None and not isinstance(self.opening, Opening):
            object.__setattr__(self, "opening", wire.from_json(Opening, self.opening, "opening"))
        for name in ("records", "access"):
            head = getattr(self, name)
            if not isinstance(head, LogHead):
                object.__setattr__(self, name, wire.from_json(LogHead, head, name))


@dataclass(frozen=True, slots=True)
class CreateRecord:
    """Puts one leaf hash of the calling hospital on the ledger by record id."""

    record: str
    leaf: str

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_digest(self.leaf, "leaf")


@dataclass(frozen=True, slots=True)
class RetractRecord:
    """The calling hospital declares a record of its own wrong."""

    record: str
    reason: str

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_member(self.reason, "reason", vocabulary.RETRACT_REASONS)


@dataclass(frozen=True, slots=True)
class LockRecord:
    """The calling hospital keeps a record of its own from being released or erased until a time."""

    record: str
    reason: str
    until: str

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_member(self.reason, "reason", vocabulary.LOCK_REASONS)
        check_instant(self.until, "until")


@dataclass(frozen=True, slots=True)
class EraseRecord:
    """The calling hospital declares the keys of records of its own destroyed."""

    records: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_records(self.records)


@dataclass(frozen=True, slots=True)
class AttestErasure:
    """A hospital that held copies says what became of them; ``retained_until`` is None where they are destroyed."""

    custodian: str
    records: tuple[str, ...]
    retained_until: str | None

    def __post_init__(self) -> None:
        check_msp_id(self.custodian, "custodian")
        _check_records(self.records)
        check_optional(self.retained_until, "retained_until", check_instant)


@dataclass(frozen=True, slots=True)
class RequestAccess:
    """The calling hospital asks for access; whom and what for goes sealed to the wallet."""

    id: str
    valid_until: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")
        check_instant(self.valid_until, "valid_until")


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """The calling hospital announces a read under a grant, before any key is released.

    Attributes:
        key_digest: SHA-256 of the one-use HPKE public key to which data keys will be wrapped.
        reader_digest: HMAC-SHA-256 over the reader's name, keyed with a salt that goes sealed to the patient.
    """

    id: str
    patient: str
    grant: str
    practitioner: str
    purpose: str
    key_digest: str
    reader_digest: str
    valid_until: str

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")
        check_identifier(self.grant, "grant")
        check_member(self.purpose, "purpose", vocabulary.PURPOSES)
        _check_opening(self)


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """The calling hospital announces an emergency read without a grant.

    ``subject_tag`` = SHA-256(JCS ["subject", patient id, 256-bit salt]): random to readers of the ledger, bound to one
    patient for the custodian, to whom the requester opens it.
    """

    id: str
    custodian: str
    subject_tag: str
    practitioner: str
    reason: str
    categories: tuple[str, ...]
    key_digest: str
    reader_digest: str
    valid_until: str

    def __post_init__(self) -> None:
        check_msp_id(self.custodian, "custodian")
        check_digest(self.subject_tag, "subject_tag")
        check_member(self.reason, "reason", vocabulary.BREAK_GLASS_REASONS)
        check_members(self.categories, "categories", vocabulary.CATEGORIES)
        _check_opening(self)


@dataclass(frozen=True, slots=True)
class ReviewBreakGlass:
    """The verdict of a privacy officer of the requesting or of the custodian hospital; ``note_digest`` is keyed."""

    id: str
    outcome: str
    reviewer: str
    note_digest: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")
        check_member(self.outcome, "outcome", vocabulary.REVIEW_OUTCOMES)
        check_identifier(self.reviewer, "reviewer")
        check_digest(self.note_digest, "note_digest")


@dataclass(frozen=True, slots=True)
class AnchorStatement:
    """Anchors the keyed digest of a fact; kind ``erasure-request`` brings the patient's signed statement."""

    id: str
    kind: str
    digest: str
    statement: str | None
    signature: str | None

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")
        check_member(self.kind, "kind", vocabulary.STATEMENT_KINDS)
        check_digest(self.digest, "digest")
        if (self.kind == "erasure-request") != (self.statement is not None):
            raise Invalid("an erasure request, and nothing else, brings a signed statement", place="statement")
        if (self.statement is None) != (self.signature is None):
            raise Invalid("statement and signature belong together", place="signature")
        if self.statement is not None and self.signature is not None:
            SignedStatement(self.statement, self.signature)


Transaction = (
    RegisterOrganization | UpdateOrganization | RegisterPatient | CloseRegistration | RotateKey
    | Anchor | CreateRecord | RetractRecord | LockRecord | EraseRecord | AttestErasure
    | RequestAccess | AuthorizeAccess | Dissent | RevokeAccess | RevokeAll
    | OpenAccess | BreakGlass | ReviewBreakGlass | AnchorStatement
)  # fmt: skip

NAMES: Final[Mapping[str, type[Transaction]]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            RegisterOrganization, UpdateOrganization, RegisterPatient, CloseRegistration, RotateKey,
            Anchor, CreateRecord, RetractRecord, LockRecord, EraseRecord, AttestErasure,
            RequestAccess, AuthorizeAccess, Dissent, RevokeAccess, RevokeAll,
            OpenAccess, BreakGlass, ReviewBreakGlass, AnchorStatement,
        )
    }
)  # fmt: skip


def check_url(value: object, place: str) -> str:
    """Return the value if it is an http or https address in printable ASCII.

    ASCII only: Python versions carry different Unicode tables, and endorsers must agree on what is in NFC.
    """
    if not _URL.fullmatch(text := check_text(value, place, max_characters=MAX_URL_CHARACTERS)):
        raise Invalid("an http or https address in ASCII is expected", place=place)
    return text


def encode(transaction: Transaction) -> tuple[str, bytes]:
    """The name and the JCS bytes of a transaction's arguments, as they are passed to the contract."""
    return type(transaction).__name__, jcs.canonical(wire.to_json(transaction))


def parse(name: str, arguments: bytes) -> Transaction:
    """Read a transaction from its name and argument bytes.

    Raises:
        Invalid: no such transaction, not canonical, or an argument breaks a rule.
    """
    kind = NAMES.get(name)
    if kind is None:
        raise Invalid("there is no such transaction", place="name", reason="unknown-transaction")
    return wire.from_json(kind, jcs.parse_object(arguments, max_bytes=MAX_ARGUMENT_BYTES), name)


def _check_records(records: object) -> None:
    items = [
        check_identifier(item, "records")
        for item in check_sequence(records, "records", max_items=MAX_RECORDS, min_items=1)
    ]
    if items != sorted(set(items)):
        raise Invalid("the record ids must be sorted and none given twice", place="records")


def _check_opening(access: OpenAccess | BreakGlass) -> None:
    check_identifier(access.id, "id")
    check_identifier(access.practitioner, "practitioner")
    check_digest(access.key_digest, "key_digest")
    check_digest(access.reader_digest, "reader_digest")
    check_instant(access.valid_until, "valid_until")
