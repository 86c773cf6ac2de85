"""Bodies of the node's HTTP interface (docs/formats/http.md). Binary values are base64url without padding."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["stored", "anchored", "witnessed"]


class Wire(BaseModel):
    """A body: fields named as in the document, nothing unknown on the way in."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    reason: str = ""
    place: str = ""
    tx_id: str | None = None


class HospitalCard(Wire):
    """Who this hospital is: public."""

    msp_id: str
    channel: str
    name: str
    url: str
    seal_kid: str
    seal_key: str


class RegistryEntry(Wire):
    """A member as the ledger's registry has it: its address and the keys that are valid now."""

    msp_id: str
    url: str
    status: str
    seal_keys: list[str]
    signing_keys: list[str] = []
    witness_keys: list[str] = []


# --- Staff ----------------------------------------------------------------------------------------------------------


class StaffLogin(Wire):
    username: str = Field(max_length=128)
    password: str = Field(max_length=1024, repr=False)


class Token(Wire):
    """A bearer token; ``token_type`` is ``DPoP`` where it is bound to a key (RFC 9449)."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    subject: str
    roles: list[str] = []


class StaffAccount(Wire):
    username: str = Field(max_length=128)
    password: str = Field(max_length=1024, min_length=12, repr=False)
    display_name: str = Field(max_length=128, repr=False)
    department: str = Field(default="", max_length=128, repr=False)
    roles: list[str]


class StaffMember(Wire):
    id: str
    username: str
    roles: list[str]
    active: bool


# --- Ingestion and records ------------------------------------------------------------------------------------------


class RecordRef(Wire):
    """A record version and how far it is: ``stored`` is durable, ``anchored`` is covered by a head on the ledger."""

    record: str
    version: int
    resource_type: str
    patient: str | None
    state: State
    changed: bool = True


class InputIssue(Wire):
    """Input that was skipped (not a kind we take) or refused (a kind we take but invalid)."""

    source: str
    place: str = ""
    reason: str


class IngestReport(Wire):
    run: str
    stored: list[RecordRef]
    unchanged: int
    skipped: list[InputIssue]
    refused: list[InputIssue]
    resources_by_type: dict[str, int]
    dicom_instances: int = 0
    quality: dict[str, int] = {}


class QualityEntry(Wire):
    """One finding of the data-quality report: a code and a place in the input, never a value."""

    code: str
    place: str
    found_at: str


class QualityPage(Wire):
    items: list[QualityEntry]
    next: int | None


class InstanceReceipt(Wire):
    """One DICOM instance, durably sealed; its series becomes a record when the upload is closed."""

    upload: str
    record: str
    changed: bool


class RecordEntry(Wire):
    """A record as lists show it: no content."""

    record: str
    version: int
    kind: Literal["patient", "directory", "institution"]
    patient: str | None
    resource_type: str
    category: str
    media_type: str
    clinical_start: str | None
    clinical_end: str | None
    stored_at: str
    status: str
    state: State
    length: int
    derived_from: str | None = None


class RecordPage(Wire):
    items: list[RecordEntry]
    next: str | None


class PersonEntry(Wire):
    """A person for the registrar; ``label`` holds names and never leaves the hospital."""

    patient: str
    status: str
    records: int
    label: str = Field(default="", repr=False)


class PersonPage(Wire):
    items: list[PersonEntry]
    next: str | None


class EnrolmentCodeIssued(Wire):
    code: str = Field(repr=False)
    expires_at: str
    hospital: HospitalCard


class NodeStatus(Wire):
    msp_id: str
    channel: str
    height: int
    projected: int
    outbox: int
    unsequenced: int
    records: int
    anchored: int
    witnessed: int = 0
    scrubbed: int = 0
    damaged: int = 0
    unendorsed: int = 0
    stores: int = 1
    stores_down: int = 0
    store_ready: bool = True
    store_copies_owed: int = 0
    store_erasures_owed: int = 0
    store_copies_healed: int = 0
    alarm: str | None


# --- Leaves and sealed objects --------------------------------------------------------------------------------------


class Path(Wire):
    """Where a leaf stands in its hospital's record log, with the audit path to an anchored head."""

    incarnation: int
    index: int
    size: int
    hashes: list[str]


class SealedRecord(Wire):
    """A sealed record with what is needed to verify and open it.

    ``wrap`` is the data key for the caller: HPKE to the patient, or AES-GCM under the session key of a release.
    Objects over 256 KiB have no ``sealed`` and come from the object route; ``chunks`` is the list of chunk hashes.
    """

    entry: RecordEntry
    object_id: str
    leaf: str
    path: Path | None
    wrap: str
    chunks: list[str]
    sealed: str | None


# --- Wallet ---------------------------------------------------------------------------------------------------------


class EnrolmentStart(Wire):
    code: str = Field(max_length=64, repr=False)


class EnrolmentOffer(Wire):
    """The id to which the wallet's keys will be bound; the wallet signs statement ``enrol`` for it."""

    patient: str
    hospital: HospitalCard


class EnrolmentFinish(Wire):
    code: str = Field(max_length=64, repr=False)
    statement: str
    signature: str


class Committed(Wire):
    """A write that is valid in a block."""

    id: str
    tx_id: str
    block: int


class NonceRequest(Wire):
    patient: str


class Nonce(Wire):
    nonce: str
    expires_in: int


class SignedStatementBody(Wire):
    statement: str = Field(max_length=16384)
    signature: str = Field(max_length=128)


class WalletSession(SignedStatementBody):
    """Statement ``session`` over a nonce; the token is bound to the DPoP key whose RFC 7638 thumbprint is given."""

    key_thumbprint: str


class PreviewRequest(Wire):
    """Terms as they would be signed, with the Consent: what would the reader see today?"""

    terms: dict[str, Any]
    consent: dict[str, Any] = Field(repr=False)


class Preview(Wire):
    released: list[str]
    withheld: int
    by_category: dict[str, int]


class ConsentedStatement(SignedStatementBody):
    """A grant or dissent with the full FHIR Consent and the salt of its keyed digest."""

    consent: dict[str, Any] = Field(repr=False)
    salt: str = Field(repr=False)


class SealedMessage(Wire):
    """A message sealed to one recipient by HPKE; ``kid`` names the recipient's key."""

    kid: str
    alg: str
    sealed: str


class ReaderCard(Wire):
    """Who reads, inside a message sealed to the patient.

    The access entry's ``reader_digest`` is ``domain.leaves.keyed_digest`` over {name, role, department} under ``salt``.
    """

    name: str = Field(max_length=128, repr=False)
    role: str = Field(max_length=64)
    department: str = Field(default="", max_length=128, repr=False)
    salt: str = Field(repr=False)


class AccessRequestContent(Wire):
    """What a clinician's request says, inside the message sealed to the patient."""

    id: str
    requester: str
    practitioner: str
    reader: ReaderCard
    purpose: str
    categories: list[str]
    message: str = Field(max_length=2000, repr=False)
    valid_until: str


class HeldConsentContent(Wire):
    """The custodian's copy of a Consent, inside the message sealed back to the patient."""

    consent: dict[str, Any] = Field(repr=False)
    salt: str = Field(repr=False)


class IncomingRequestEntry(Wire):
    id: str
    requester: str
    valid_until: str
    received_at: str
    message: SealedMessage


class AccessEntry(Wire):
    """One row of the access log about the patient, with its leaf, its place in the log, and the sealed reader."""

    leaf: str
    path: Path | None
    reader: SealedMessage | None


class AccessPage(Wire):
    items: list[AccessEntry]
    next: str | None


class GrantEntry(Wire):
    id: str
    status: str
    live: bool
    terms: dict[str, Any] | None
    consent: SealedMessage | None = None


class GrantPage(Wire):
    grants: list[GrantEntry]
    dissents: list[GrantEntry]
    floor: int


class NoticeEntry(Wire):
    id: int
    event: str
    references: list[str]
    created_at: str


# --- Shared reading -------------------------------------------------------------------------------------------------


class PatientCard(Wire):
    """What a patient shows (QR) so that a hospital can address them: custodian, patient id there, wrapping key."""

    custodian: str
    patient: str
    key_epoch: int
    wrap_key: str


class AccessRequest(Wire):
    """A clinician asks a patient for access; everything but id and validity is sealed to the wallet."""

    card: PatientCard
    purpose: str
    categories: list[str]
    message: str = Field(max_length=2000, repr=False)
    valid_hours: int = Field(default=72, ge=1, le=24 * 30)


class ReceivedGrant(Wire):
    """A grant package that a wallet delivered to this hospital."""

    id: str
    custodian: str
    patient: str
    terms: dict[str, Any]
    local_patient: str | None
    confirmed: bool


class MatchConfirmation(Wire):
    """A person's confirmation of whose records these are; ``local_patient`` None: nobody known here yet."""

    local_patient: str | None


class OpenAccessBody(Wire):
    """Under which grant to read; its id is unique only for its patient, who is named as the custodian does."""

    patient: str
    grant: str
    purpose: str


class EmergencyBody(Wire):
    card: PatientCard
    reason: str
    categories: list[str]


class AccessHandle(Wire):
    """An open access or emergency; its records are read under ``/api/shared/accesses/{id}``."""

    id: str
    kind: Literal["grant", "emergency"]
    custodian: str
    valid_until: str
    tx_id: str


class SharedRecord(Wire):
    """A record of another hospital that this node opened and verified; ``content`` are the custodian's exact bytes."""

    entry: RecordEntry
    content: str = Field(repr=False)
    digest: str
    block: int
    members: int = 0


class SharedChart(Wire):
    items: list[SharedRecord]
    withheld_or_absent: int = 0


class ReviewBody(Wire):
    outcome: str
    note: str = Field(max_length=2000, repr=False)


class AdmissionBody(Wire):
    """The duty officer's decision about an emergency that was held because there were too many."""

    approve: bool


class ContributionBody(Wire):
    """A FHIR resource for the patient's custodian, as text, so that every digit of a decimal is kept."""

    resource: str = Field(max_length=4 * 1024 * 1024, repr=False)


# --- Between hospitals ----------------------------------------------------------------------------------------------


class MemberRef(Wire):
    object_id: str
    digest: str
    length: int


class GrantPackage(Wire):
    """What a wallet gives a grantee inside a sealed message."""

    grant: str
    card: PatientCard
    statement: str
    signature: str
    consent: dict[str, Any] = Field(repr=False)
    salt: str = Field(repr=False)
