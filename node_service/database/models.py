"""Tables of the node's database.

Rows hold random ids, wraps, sealed bytes and blind tokens (HMAC-SHA-256 under a key that is not in the database). In
clear: resource type, category, clinical dates (never the birth date), times of storage: the documented leak.
Points in time are text of domain.instants; digests and hashes are raw bytes; sealed values are bytes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Identifier = String(26)
MspId = String(64)
InstantText = String(20)
Code = String(64)
BigId = BigInteger().with_variant(Integer, "sqlite")
_SHARED = text("access IS NOT NULL")


class Base(DeclarativeBase):
    """All tables of the node."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012 - read by SQLAlchemy as is


# --- People and their keys ------------------------------------------------------------------------------------------


class Person(Base):
    """A person at this hospital under a random patient id; unclaimed until a wallet is enrolled."""

    __tablename__ = "person"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    status: Mapped[str] = mapped_column(Code, default="unclaimed")  # unclaimed, enrolling, enrolled, closed
    created_at: Mapped[str] = mapped_column(InstantText)
    enrolled_at: Mapped[str | None] = mapped_column(InstantText)
    key_epoch: Mapped[int] = mapped_column(Integer, default=0)
    demographics: Mapped[bytes] = mapped_column(LargeBinary)  # sealed JSON {names, gender, birthDate, identifiers}
    locator: Mapped[bool] = mapped_column(Boolean, default=False)


class PersonToken(Base):
    """A blind token by which a person is found again: a typed identifier, or (source, Patient id)."""

    __tablename__ = "person_token"

    token: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    patient: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # identifier, source, contested (all tokens of a contradicting claim)
    identifier_type: Mapped[str | None] = mapped_column(Code)

    __table_args__ = (Index("ix_person_token_patient", "patient"),)


class PatientKey(Base):
    """The enrolment register: the public keys that this hospital itself verified, per key epoch."""

    __tablename__ = "patient_key"

    patient: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    key_epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    signing: Mapped[str] = mapped_column(String(64))
    wrap: Mapped[str] = mapped_column(String(64))
    statement: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(String(128))
    since: Mapped[str] = mapped_column(InstantText)


class EnrolmentCode(Base):
    """A one-time code handed out after a person was identified; only its hash is kept."""

    __tablename__ = "enrolment_code"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    patient: Mapped[str] = mapped_column(ForeignKey("person.id"))
    issued_by: Mapped[str] = mapped_column(Identifier)
    expires_at: Mapped[str] = mapped_column(InstantText)
    used_at: Mapped[str | None] = mapped_column(InstantText)
    failures: Mapped[int] = mapped_column(Integer, default=0)


# --- Records --------------------------------------------------------------------------------------------------------


class Record(Base):
    """A record: one FHIR resource, one document, or one DICOM series, through all its versions."""

    __tablename__ = "record"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # patient, directory, institution
    patient: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    resource_type: Mapped[str] = mapped_column(Code)  # FHIR type, or ImagingSeries
    category: Mapped[str] = mapped_column(Code)
    media_type: Mapped[str] = mapped_column(String(128))
    source_token: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # identity of input, blind
    current_version: Mapped[int] = mapped_column(Integer)  # 0 while a series has members but no manifest yet
    status: Mapped[str] = mapped_column(Code, default="active")  # active, retracted, locked, erased
    external_author: Mapped[str | None] = mapped_column(MspId)
    derived_from: Mapped[str | None] = mapped_column(ForeignKey("record.id"), index=True)  # the HL7 v2, CDA, PDF source
    created_at: Mapped[str] = mapped_column(InstantText)

    __table_args__ = (Index("ix_record_patient", "patient", "resource_type"), Index("ix_record_kind", "kind"))


class RecordVersion(Base):
    """One version of a record: its sealed object, its leaf, and where the leaf stands in the record log."""

    __tablename__ = "record_version"

    record: Mapped[str] = mapped_column(ForeignKey("record.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    object_id: Mapped[str] = mapped_column(Identifier, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))  # anchored digest, and the store's address
    length: Mapped[int] = mapped_column(BigInteger)  # of the sealed object
    content_token: Mapped[bytes] = mapped_column(LargeBinary(32))  # blind token of the content, to see "unchanged"
    clinical_start: Mapped[str | None] = mapped_column(String(32))
    clinical_end: Mapped[str | None] = mapped_column(String(32))
    stored_at: Mapped[str] = mapped_column(InstantText)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    incarnation: Mapped[int | None] = mapped_column(Integer)
    log_index: Mapped[int | None] = mapped_column(BigInteger)  # None while in the outbox
    undo: Mapped[bytes | None] = mapped_column(LargeBinary)  # splices back to the received bytes, under the data key

    __table_args__ = (
        Index("ix_record_version_log", "incarnation", "log_index"),
        Index("ix_record_version_digest", "digest"),
        Index("ix_record_version_content", "content_token"),
    )


class RecordToken(Base):
    """A blind token by which references find a record: its id at the source, or an identifier of a directory entry.

    A patient whom a reference names before the Patient resource comes has a token, but no record yet.
    """

    __tablename__ = "record_token"

    token: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    record: Mapped[str] = mapped_column(Identifier, index=True)


class Member(Base):
    """A sealed object that belongs to a composite record (a DICOM instance); its key is in the manifest."""

    __tablename__ = "member"

    record: Mapped[str] = mapped_column(ForeignKey("record.id"), primary_key=True)
    member_token: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)  # blind SOP instance UID
    object_id: Mapped[str] = mapped_column(Identifier, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    length: Mapped[int] = mapped_column(BigInteger)
    content_token: Mapped[bytes] = mapped_column(LargeBinary(32))
    wrap: Mapped[bytes] = mapped_column(LargeBinary)  # custodian wrap, so that a later manifest can list it again
    manifest_version: Mapped[int | None] = mapped_column(Integer)  # first version whose manifest lists it
    upload: Mapped[str] = mapped_column(String(64), index=True)  # the upload that brought it
    attributes: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed, until a manifest lists it
    received_at: Mapped[str] = mapped_column(InstantText)

    __table_args__ = (Index("ix_member_digest", "digest"),)


class Wrap(Base):
    """A data key for one recipient: the custodian (alg of custody) or the patient (HPKE)."""

    __tablename__ = "wrap"

    record: Mapped[str] = mapped_column(ForeignKey("record.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    recipient: Mapped[str] = mapped_column(Code, primary_key=True)  # custodian, patient
    key_id: Mapped[str] = mapped_column(Code, primary_key=True)  # custody key id, or the patient's key epoch
    wrap: Mapped[bytes] = mapped_column(LargeBinary)  # encoded wrap, names its alg


class BundleSkeleton(Base):
    """What is left of a received Bundle when its resources are taken out, sealed, so that it can be reassembled."""

    __tablename__ = "bundle_skeleton"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    source_token: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    object_id: Mapped[str] = mapped_column(Identifier, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    wrap: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[str] = mapped_column(InstantText)


class BundleEntry(Base):
    """Which records were made of a received Bundle: what is left of it goes when one of them is erased."""

    __tablename__ = "bundle_entry"

    record: Mapped[str] = mapped_column(Identifier, primary_key=True)
    bundle: Mapped[str] = mapped_column(Identifier, primary_key=True, index=True)


class QualityFinding(Base):
    """A finding of the data-quality report: a code and a place, never a value."""

    __tablename__ = "quality_finding"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    run: Mapped[str] = mapped_column(Identifier, index=True)
    code: Mapped[str] = mapped_column(Code)
    record: Mapped[str | None] = mapped_column(Identifier)
    place: Mapped[str] = mapped_column(String(512))
    found_at: Mapped[str] = mapped_column(InstantText)


# --- Logs, outbox, follower -----------------------------------------------------------------------------------------


class Outbox(Base):
    """Leaves that wait to be appended to the record log, in order of storing."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    record: Mapped[str] = mapped_column(Identifier)
    version: Mapped[int] = mapped_column(Integer)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogNode(Base):
    """The hash of a perfect subtree of one of the hospital's logs; level 0 is a leaf hash."""

    __tablename__ = "log_node"

    log: Mapped[str] = mapped_column(Code, primary_key=True)  # records, access
    incarnation: Mapped[int] = mapped_column(Integer, primary_key=True)
    level: Mapped[int] = mapped_column(Integer, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogSize(Base):
    """How many leaves a log holds."""

    __tablename__ = "log_size"

    log: Mapped[str] = mapped_column(Code, primary_key=True)
    incarnation: Mapped[int] = mapped_column(Integer, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)


class AccessRow(Base):
    """A row of the access log; committed before the answer that it records starts."""

    __tablename__ = "access_row"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)  # JCS of domain.leaves.AccessLeaf
    patient: Mapped[str | None] = mapped_column(Identifier)
    access: Mapped[str | None] = mapped_column(Identifier)
    reader: Mapped[bytes | None] = mapped_column(LargeBinary)  # reader's name, sealed to the patient
    incarnation: Mapped[int | None] = mapped_column(Integer)
    log_index: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_access_row_patient", "patient"),
        Index("ix_access_row_log", "incarnation", "log_index"),
        Index("ix_access_row_access", "access", sqlite_where=_SHARED, postgresql_where=_SHARED),
    )


class AnchoredHead(Base):
    """A head of any organisation's log as it stands on the ledger."""

    __tablename__ = "anchored_head"

    msp_id: Mapped[str] = mapped_column(MspId, primary_key=True)
    incarnation: Mapped[int] = mapped_column(Integer, primary_key=True)
    log: Mapped[str] = mapped_column(Code, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    block: Mapped[int] = mapped_column(BigInteger)
    tx_id: Mapped[str] = mapped_column(String(64))


class LedgerState(Base):
    """The projection: the contract's present state as the follower read it from verified blocks."""

    __tablename__ = "ledger_state"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # UTF-8 of the composite key
    value: Mapped[bytes] = mapped_column(LargeBinary)
    block: Mapped[int] = mapped_column(BigInteger)
    tx_id: Mapped[str] = mapped_column(String(64))


class LedgerTransaction(Base):
    """Every transaction of the contract with its signed arguments: what the custodian verifies again."""

    __tablename__ = "ledger_transaction"

    tx_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    block: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int] = mapped_column(Integer)
    code: Mapped[str] = mapped_column(Code)
    creator: Mapped[str] = mapped_column(MspId)
    name: Mapped[str] = mapped_column(Code)
    arguments: Mapped[bytes] = mapped_column(LargeBinary)
    submitted_at: Mapped[str] = mapped_column(InstantText)

    __table_args__ = (Index("ix_ledger_transaction_block", "block", "position"),)


class Checkpoint(Base):
    """Where the follower stands; moved in the same transaction as the projection.

    Attributes:
        members: MSP ids of the channel's members after the last block; NULL where a release before 0003 wrote last.
    """

    __tablename__ = "checkpoint"

    name: Mapped[str] = mapped_column(Code, primary_key=True)
    next_block: Mapped[int] = mapped_column(BigInteger)
    header_hash: Mapped[bytes] = mapped_column(LargeBinary)
    members: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


class Alarm(Base):
    """Something does not verify: what depends on it stops until a person has looked; codes and places only."""

    __tablename__ = "alarm"

    name: Mapped[str] = mapped_column(Code, primary_key=True)  # who stopped, for example follower
    reason: Mapped[str] = mapped_column(Code)
    place: Mapped[str] = mapped_column(String(256))
    raised_at: Mapped[str] = mapped_column(InstantText)


class PendingTransaction(Base):
    """A logical write to the ledger that is not known to be valid yet; resubmitted until it is, or is refused."""

    __tablename__ = "pending_transaction"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Code)
    arguments: Mapped[bytes] = mapped_column(LargeBinary)
    tx_id: Mapped[str | None] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(Code)  # waiting, broadcast, valid, refused
    reason: Mapped[str | None] = mapped_column(Code)
    created_at: Mapped[str] = mapped_column(InstantText)


# --- Sharing --------------------------------------------------------------------------------------------------------


class HeldConsent(Base):
    """The full FHIR Consent behind a grant or dissent: at the custodian from the wallet, at the grantee by package."""

    __tablename__ = "held_consent"

    patient: Mapped[str] = mapped_column(Identifier, primary_key=True)  # at the custodian
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)  # grant or dissent id: only the patient's own
    role: Mapped[str] = mapped_column(Code, primary_key=True)  # custodian, grantee
    kind: Mapped[str] = mapped_column(Code)  # grant, dissent
    custodian: Mapped[str] = mapped_column(MspId)
    content: Mapped[bytes] = mapped_column(LargeBinary)  # sealed JSON {consent, salt, statement, signature, card…}
    received_at: Mapped[str] = mapped_column(InstantText)
    local_patient: Mapped[str | None] = mapped_column(Identifier)  # at the grantee, once a person confirmed the match
    confirmed_by: Mapped[str | None] = mapped_column(Identifier)
    confirmed_at: Mapped[str | None] = mapped_column(InstantText)


class OutgoingRequest(Base):
    """An access request that a clinician of this hospital made."""

    __tablename__ = "outgoing_request"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    custodian: Mapped[str] = mapped_column(MspId)
    practitioner: Mapped[str] = mapped_column(Identifier)
    content: Mapped[bytes] = mapped_column(LargeBinary)  # sealed under the node's own key
    valid_until: Mapped[str] = mapped_column(InstantText)
    created_at: Mapped[str] = mapped_column(InstantText)


class IncomingRequest(Base):
    """An access request for a patient of this hospital, sealed to the wallet."""

    __tablename__ = "incoming_request"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    patient: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    requester: Mapped[str] = mapped_column(MspId)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # HPKE to the patient
    valid_until: Mapped[str] = mapped_column(InstantText)
    received_at: Mapped[str] = mapped_column(InstantText)


class OpenedAccess(Base):
    """An access or emergency that this hospital opened at a custodian, with its one-use key sealed at rest."""

    __tablename__ = "opened_access"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # grant, emergency
    grant: Mapped[str | None] = mapped_column(Identifier)
    custodian: Mapped[str] = mapped_column(MspId)
    patient: Mapped[str] = mapped_column(Identifier)  # at the custodian
    practitioner: Mapped[str] = mapped_column(Identifier)
    purpose: Mapped[str] = mapped_column(Code)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed {private key, salts}; None once destroyed
    tx_id: Mapped[str | None] = mapped_column(String(64))
    valid_until: Mapped[str] = mapped_column(InstantText)
    opened_at: Mapped[str] = mapped_column(InstantText)


class EmergencyAdmission(Base):
    """A broken glass at another hospital, about a patient of this one: let in, or held for the duty officer."""

    __tablename__ = "emergency_admission"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)  # emergency id
    requester: Mapped[str] = mapped_column(MspId)
    practitioner: Mapped[str] = mapped_column(Identifier)
    patient: Mapped[str] = mapped_column(Identifier)
    status: Mapped[str] = mapped_column(Code)  # admitted, held, approved, refused
    at: Mapped[str] = mapped_column(InstantText)
    decided_by: Mapped[str | None] = mapped_column(Identifier)

    __table_args__ = (Index("ix_emergency_admission_practitioner", "requester", "practitioner", "at"),)


class EmergencyReview(Base):
    """The verdict of this hospital's privacy officer on a broken glass; the ledger has the note's keyed digest."""

    __tablename__ = "emergency_review"

    emergency: Mapped[str] = mapped_column(Identifier, primary_key=True)
    reviewer: Mapped[str] = mapped_column(Identifier)
    outcome: Mapped[str] = mapped_column(Code)
    note: Mapped[bytes] = mapped_column(LargeBinary)  # sealed JSON {note, salt}
    reviewed_at: Mapped[str] = mapped_column(InstantText)


class Notice(Base):
    """Something that a patient or a role has to see, for example a broken glass; ids and codes only."""

    __tablename__ = "notice"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    recipient: Mapped[str] = mapped_column(String(128), index=True)  # patient:<id>, role:<role>
    event: Mapped[str] = mapped_column(Code)
    references: Mapped[list[Any]] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(InstantText)
    read_at: Mapped[str | None] = mapped_column(InstantText)
