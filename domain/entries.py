"""The values in the contract's state (docs/formats/ledger.md, "State"), one type for each object type of key.

Written by the contract, read by it, by projections and by verifiers. A value is a JCS object with ``"v": 1``; fields
are only ever added, so readers skip those that they do not know and writers keep them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from domain import jcs, vocabulary, wire
from domain.checks import check_integer, check_member, check_members, check_optional, check_sequence
from domain.errors import Invalid
from domain.identifiers import check_digest, check_identifier, check_msp_id
from domain.instants import check_instant
from domain.statements import MAX_EPOCH, DissentTerms, GrantTerms, PatientKeys
from domain.transactions import MAX_KEYS, Opening, OrganizationKey, check_url

VERSION: Final = 1
MAX_ROTATIONS: Final = 1000
ORGANIZATION_STATUSES: Final = ("active", "leaving", "left")
REGISTRATION_STATUSES: Final = ("active", "closed")
RECORD_STATUSES: Final = ("retracted", "locked", "erased")
GRANT_STATUSES: Final = ("active", "revoked", "tombstone")
DISSENT_STATUSES: Final = ("active", "withdrawn", "tombstone")


@dataclass(frozen=True, slots=True)
class OrganizationEntry:
    """``org``, msp: a member of the channel."""

    status: str
    url: str
    keys: tuple[OrganizationKey, ...]
    witness_url: str | None = None

    def __post_init__(self) -> None:
        check_member(self.status, "status", ORGANIZATION_STATUSES)
        check_url(self.url, "url")
        check_optional(self.witness_url, "witness_url", check_url)
        _nest_all(self, "keys", OrganizationKey, max_items=MAX_KEYS)


@dataclass(frozen=True, slots=True)
class KeyHolderEntry:
    """``org-key``, key: the member that published this signature key first; nobody else's signature is made with it."""

    msp: str

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "msp")


@dataclass(frozen=True, slots=True)
class PreviousKeys:
    """The keys of a patient's former key epoch."""

    key_epoch: int
    keys: PatientKeys

    def __post_init__(self) -> None:
        check_integer(self.key_epoch, "key_epoch", low=1, high=MAX_EPOCH)
        _nest(self, "keys", PatientKeys)


@dataclass(frozen=True, slots=True)
class PatientEntry:
    """``patient``, id: a registration at its custodian."""

    custodian: str
    keys: PatientKeys
    key_epoch: int
    status: str
    reason: str | None
    enrolled_by: str
    previous_keys: tuple[PreviousKeys, ...]

    def __post_init__(self) -> None:
        check_msp_id(self.custodian, "custodian")
        _nest(self, "keys", PatientKeys)
        check_integer(self.key_epoch, "key_epoch", low=1, high=MAX_EPOCH)
        check_member(self.status, "status", REGISTRATION_STATUSES)
        if self.reason is not None:
            check_member(self.reason, "reason", vocabulary.CLOSE_REASONS)
        check_identifier(self.enrolled_by, "enrolled_by")
        _nest_all(self, "previous_keys", PreviousKeys, max_items=MAX_ROTATIONS)


@dataclass(frozen=True, slots=True)
class FloorEntry:
    """``floor``, patient: the lowest valid grant epoch."""

    grant_epoch: int

    def __post_init__(self) -> None:
        check_integer(self.grant_epoch, "grant_epoch", low=1, high=MAX_EPOCH)


@dataclass(frozen=True, slots=True)
class Head:
    """Size and root of an RFC 6962 log."""

    size: int
    root: str

    def __post_init__(self) -> None:
        check_integer(self.size, "size")
        check_digest(self.root, "root")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """``log``, msp, incarnation: the last anchored heads of a hospital's two logs."""

    opening: Opening | None
    records: Head
    access: Head
    unwraps: int

    def __post_init__(self) -> None:
        if self.opening is not None:
            _nest(self, "opening", Opening)
        _nest(self, "records", Head)
        _nest(self, "access", Head)
        check_integer(self.unwraps, "unwraps")


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """``record``, msp, record id: a leaf that its hospital wants on the ledger by id."""

    leaf: str

    def __post_init__(self) -> None:
        check_digest(self.leaf, "leaf")


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """``status``, msp, record id: exists only for records that are not plainly active."""

    status: str
    reason: str | None
    until: str | None

    def __post_init__(self) -> None:
        check_member(self.status, "status", RECORD_STATUSES)
        if self.reason is not None:
            check_member(self.reason, "reason", (*vocabulary.RETRACT_REASONS, *vocabulary.LOCK_REASONS))
        check_optional(self.until, "until", check_instant)


@dataclass(frozen=True, slots=True)
class AttestationEntry:
    """``attestation``, custodian, record id, attesting msp: what became of a copy."""

    retained_until: str | None

    def __post_init__(self) -> None:
        check_optional(self.retained_until, "retained_until", check_instant)


@dataclass(frozen=True, slots=True)
class GrantEntry:
    """``grant``, patient, grant id; ``terms`` is None for a tombstone."""

    status: str
    custodian: str
    terms: GrantTerms | None
    key_epoch: int
    grant_epoch: int
    revoked_by: str | None

    def __post_init__(self) -> None:
        check_member(self.status, "status", GRANT_STATUSES)
        check_msp_id(self.custodian, "custodian")
        if self.terms is not None:
            _nest(self, "terms", GrantTerms)
        if (self.terms is None) != (self.status == "tombstone"):
            raise Invalid("a tombstone, and nothing else, has no terms", place="terms")
        check_integer(self.key_epoch, "key_epoch", low=1, high=MAX_EPOCH)
        check_integer(self.grant_epoch, "grant_epoch", low=1, high=MAX_EPOCH)
        check_optional(self.revoked_by, "revoked_by", check_identifier)


@dataclass(frozen=True, slots=True)
class DissentEntry:
    """``dissent``, patient, dissent id; ``terms`` is None for a tombstone."""

    status: str
    custodian: str
    terms: DissentTerms | None
    key_epoch: int
    withdrawn_by: str | None

    def __post_init__(self) -> None:
        check_member(self.status, "status", DISSENT_STATUSES)
        check_msp_id(self.custodian, "custodian")
        if self.terms is not None:
            _nest(self, "terms", DissentTerms)
        if (self.terms is None) != (self.status == "tombstone"):
            raise Invalid("a tombstone, and nothing else, has no terms", place="terms")
        check_integer(self.key_epoch, "key_epoch", low=1, high=MAX_EPOCH)
        check_optional(self.withdrawn_by, "withdrawn_by", check_identifier)


@dataclass(frozen=True, slots=True)
class UsedEntry:
    """``statement-used``, patient, statement id: SHA-256 of the signed text."""

    digest: str

    def __post_init__(self) -> None:
        check_digest(self.digest, "digest")


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """``request``, id: an organisation asks for access."""

    requester: str
    valid_until: str

    def __post_init__(self) -> None:
        check_msp_id(self.requester, "requester")
        check_instant(self.valid_until, "valid_until")


@dataclass(frozen=True, slots=True)
class AnswerEntry:
    """``answer``, request id: the grant that answered."""

    grant: str

    def __post_init__(self) -> None:
        check_identifier(self.grant, "grant")


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """``access``, id: a read under a grant, announced before any key is released."""

    patient: str
    grant: str
    requester: str
    practitioner: str
    purpose: str
    opened_at: str
    valid_until: str
    key_digest: str
    reader_digest: str

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")
        check_identifier(self.grant, "grant")
        check_member(self.purpose, "purpose", vocabulary.PURPOSES)
        _check_opened(self)


@dataclass(frozen=True, slots=True)
class EmergencyEntry:
    """``emergency``, id: a read without a grant."""

    custodian: str
    requester: str
    subject_tag: str
    practitioner: str
    reason: str
    categories: tuple[str, ...]
    opened_at: str
    valid_until: str
    key_digest: str
    reader_digest: str

    def __post_init__(self) -> None:
        check_msp_id(self.custodian, "custodian")
        check_digest(self.subject_tag, "subject_tag")
        check_member(self.reason, "reason", vocabulary.BREAK_GLASS_REASONS)
        check_members(self.categories, "categories", vocabulary.CATEGORIES)
        _check_opened(self)


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """``review``, emergency id, msp: a privacy officer's verdict."""

    outcome: str
    reviewer: str
    note_digest: str
    at: str

    def __post_init__(self) -> None:
        check_member(self.outcome, "outcome", vocabulary.REVIEW_OUTCOMES)
        check_identifier(self.reviewer, "reviewer")
        check_digest(self.note_digest, "note_digest")
        check_instant(self.at, "at")


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """``statement``, kind, id: an anchored fact; ``statement_digest`` of the patient's signed text, if one came."""

    digest: str
    by: str
    at: str
    statement_digest: str | None

    def __post_init__(self) -> None:
        check_digest(self.digest, "digest")
        check_msp_id(self.by, "by")
        check_instant(self.at, "at")
        check_optional(self.statement_digest, "statement_digest", check_digest)


Entry = (
    OrganizationEntry | KeyHolderEntry | PatientEntry | FloorEntry | LogEntry | RecordEntry | StatusEntry
    | AttestationEntry | GrantEntry | DissentEntry | UsedEntry | RequestEntry | AnswerEntry
    | AccessEntry | EmergencyEntry | ReviewEntry | StatementEntry
)  # fmt: skip
Kind = TypeVar("Kind", bound=Entry)

OBJECT_TYPES: Final[Mapping[str, type[Entry]]] = MappingProxyType(
    {
        "org": OrganizationEntry,
        "org-key": KeyHolderEntry,
        "patient": PatientEntry,
        "floor": FloorEntry,
        "log": LogEntry,
        "record": RecordEntry,
        "status": StatusEntry,
        "attestation": AttestationEntry,
        "grant": GrantEntry,
        "dissent": DissentEntry,
        "statement-used": UsedEntry,
        "request": RequestEntry,
        "answer": AnswerEntry,
        "access": AccessEntry,
        "emergency": EmergencyEntry,
        "review": ReviewEntry,
        "statement": StatementEntry,
    }
)
OBJECT_TYPE_OF: Final[Mapping[type[object], str]] = MappingProxyType(
    {kind: name for name, kind in OBJECT_TYPES.items()}
)


def parse(kind: type[Kind], encoded: bytes) -> Kind:
    """Read a value of the state; fields that this program does not know are skipped, later ones may be missing.

    Raises:
        Invalid: not canonical, a field is missing or breaks a rule.
    """
    fields = jcs.parse_object(encoded)
    check_integer(fields.get("v"), "v", low=1)
    added = {
        field.name: field.default for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING
    }
    known = {field.name for field in dataclasses.fields(kind)}
    return wire.from_json(kind, added | {name: value for name, value in fields.items() if name in known})


def encode(entry: Entry, former: bytes | None = None) -> bytes:
    """The JCS bytes of a value; fields of ``former`` that this program does not know are kept."""
    kept = jcs.parse_object(former) if former is not None else {}
    return jcs.canonical({**kept, "v": VERSION, **wire.to_json(entry)})


def incarnation_attribute(incarnation: int) -> str:
    """A log incarnation as a key's attribute: 10 decimal digits, so that key order is number order."""
    return f"{incarnation:010d}"


def _check_opened(entry: AccessEntry | EmergencyEntry) -> None:
    check_msp_id(entry.requester, "requester")
    check_identifier(entry.practitioner, "practitioner")
    check_instant(entry.opened_at, "opened_at")
    check_instant(entry.valid_until, "valid_until")
    check_digest(entry.key_digest, "key_digest")
    check_digest(entry.reader_digest, "reader_digest")


def _nest(owner: object, name: str, kind: type[wire.Value]) -> None:
    value = getattr(owner, name)
    if not isinstance(value, kind):
        object.__setattr__(owner, name, wire.from_json(kind, value, name))


def _nest_all(owner: object, name: str, kind: type[wire.Value], *, max_items: int) -> None:
    items = check_sequence(getattr(owner, name), name, max_items=max_items)
    nested = tuple(item if isinstance(item, kind) else wire.from_json(kind, item, name) for item in items)
    object.__setattr__(owner, name, nested)
