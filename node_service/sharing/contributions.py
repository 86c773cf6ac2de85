"""Contributions: another hospital seals and signs a record for the patient's custodian, who appends it (version 1).

The author's signature covers record id and anchored digest and stays in the leaf, where every reader verifies it. The
record is marked external until a clinician of the custodian accepts it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import ed25519, leaves, messages
from domain.decisions import Deny
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered
from domain.identifiers import check_identifier, decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.leaves import Author
from node_service import organization_keys
from node_service.access_log.rows import Entry, record, record_alone
from node_service.client import exchange_wire, wire
from node_service.context import Node
from node_service.database.models import Record, RecordVersion
from node_service.fhir.category import category
from node_service.fhir.compartment import compartment
from node_service.fhir.references import ReferenceKind, parse_reference
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.splice import splice
from node_service.fhir.validation import verify_resource
from node_service.ledger_sync.registry import organization_key
from node_service.records.drafts import FHIR_JSON, Draft, SealedVersion
from node_service.records.sealing import put_sealed
from node_service.records.writing import write_versions
from node_service.sharing.accesses import OwnOpening, own_opening
from node_service.sharing.candidates import judge
from node_service.sharing.decision import READABLE, Candidate
from node_service.sharing.exchange import Exchange
from node_service.sharing.openings import EmergencyBasis, LiveOpening, verify_opening
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.release import access_entry, reader_of, verified_opening
from node_service.sharing.sealed_messages import from_wire, open_for_hospital, to_wire
from node_service.sharing.verification import verify_author_signature
from node_service.witnessing.freshness import wait_until_fresh
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.keys import DataKey
from offchain.envelope.messages import seal_message
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.suite import DATA_KEY_BYTES, SALT_BYTES
from offchain.envelope.unseal import unseal

_RELATIVE: Final = ReferenceKind.RELATIVE
_PATIENT: Final = "Patient"
MAX_SEALED_BYTES: Final = 4 << 20
ANY_TIME: Final = "0001-01-01T00:00:00Z"
"""A grant's ``recorded_until`` limits what is read, not what is added."""


async def contribute(
    node: Node, exchange: Exchange, practitioner: Practitioner, access: str, body: wire.ContributionBody
) -> wire.RecordRef:
    """Seal and sign a resource and hand it to the custodian of the access.

    Raises:
        Invalid: not a valid FHIR resource.
        NotFound: no such open access, or the custodian does not take it under this grant.
        Unavailable: the custodian, the ledger or the own access log.
    """
    opening, delivery = await node.in_crypto(_sealed_delivery, node, practitioner, access, body)
    reader = practitioner.reader(node.random)
    entry = Entry(
        "create", node.msp_id, practitioner.id, opening.local_patient, (delivery.record,),
        purpose=opening.purpose, access=opening.id, reader=reader,
    )  # fmt: skip
    await node.in_database(record_alone, node, entry)
    return await exchange.deliver_contribution(opening.custodian, delivery)


async def accept_contribution(node: Node, caller: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
    """Verify and append another hospital's record; the same delivery again is a success without effect.

    Raises:
        Denied: the opening is not verified, or the grant does not allow contributions of this kind.
        Invalid, Tampered: signature, object or resource do not fit.
        Conflict: the record id is in use.
        Unavailable: not fresh in time; store, custody or database.
    """
    await wait_until_fresh(node, caller, block=body.opening.block)
    return await node.in_crypto(_accept, node, caller, body)


def _sealed_delivery(
    node: Node, practitioner: Practitioner, access: str, body: wire.ContributionBody
) -> tuple[OwnOpening, exchange_wire.ContributionDelivery]:
    with node.database.reading() as session:
        opening = own_opening(node, session, practitioner.id, access)
        seal_key = organization_key(session, opening.custodian, "seal", None, instant(node.clock.now()))
    resource = parse_resource(body.resource.encode(), max_bytes=MAX_SEALED_BYTES)
    verify_resource(resource)
    record_id, object_id = identifier(node.random(16)), identifier(node.random(16))
    at = instant(node.clock.now())
    stored = splice(resource, record_id=record_id, version_id="1", last_updated=at, references={}).stored
    key = DataKey(node.random(32))
    header = Header(object_id, node.msp_id, node.random(SALT_BYTES))
    sealed = seal(PlainBytes(stored, Description(FHIR_JSON)), key, header)
    message = leaves.author_message(record_id, sealed.digest, node.msp_id, opening.custodian)
    recipient = RecipientPublicKey.parse(seal_key.alg, seal_key.key, "seal")
    data_key = seal_message(recipient, messages.contribution(opening.id, record_id), key.reveal())
    return opening, exchange_wire.ContributionDelivery(
        opening=opening.wire(),
        record=record_id,
        object_id=object_id,
        kid=organization_keys.signing_kid(node.secrets),
        signature=encode_bytes(organization_keys.sign(node.secrets, message)),
        data_key=to_wire(data_key),
        chunks=[encode_bytes(value) for value in sealed.chunk_list.hashes],
        sealed=encode_bytes(sealed.data),
    )


def _accept(node: Node, caller: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
    check_identifier(body.record, "record")
    with node.database.reading() as session:
        live = verified_opening(node, session, caller, body.opening)
        author = _verified_author(node, session, caller, body)
        known = _known(session, live, author, body)
    if known is not None:
        return known
    version = _opened_version(node, live, author, body)
    put_sealed(node, [version])
    with node.database.transaction() as session:
        again = verify_opening(node, session, caller, body.opening)
        _check_allowed(node, session, again, version.draft)
        written = write_versions(node, session, [version])[0]
        record(node, session, access_entry(live, "create", (body.record,), reader_of(body.opening)))
    return written


def _verified_author(node: Node, session: Session, caller: str, body: exchange_wire.ContributionDelivery) -> Author:
    author = Author(caller, body.kid, ed25519.ALG, body.signature)
    digest = SealedBytes.of(_sealed(body)).digest
    try:
        organization_key(session, caller, "signing", body.kid, instant(node.clock.now()))
        verify_author_signature(session, node.msp_id, body.record, digest, author)
    except (NotFound, Tampered) as error:
        raise Denied("the author's signature is not right", reason="author") from error
    return author


def _known(
    session: Session, live: LiveOpening, author: Author, body: exchange_wire.ContributionDelivery
) -> wire.RecordRef | None:
    """What the very same delivery became before: same patient, author and sealed bytes."""
    row = session.get(Record, body.record)
    if row is None:
        return None
    stored = session.get(RecordVersion, (body.record, 1))
    leaf = None if stored is None else leaves.parse_record_leaf(stored.leaf)
    delivered = (live.patient, SealedBytes.of(_sealed(body)).digest, author.msp_id)
    if leaf is None or (row.patient, leaf.digest, row.external_author) != delivered:
        raise Conflict("the record id is in use", reason="record-id")
    return wire.RecordRef(
        record=row.id, version=1, resource_type=row.resource_type, patient=row.patient, state="stored", changed=False
    )


def _opened_version(
    node: Node, live: LiveOpening, author: Author, body: exchange_wire.ContributionDelivery
) -> SealedVersion:
    """Open what was delivered, validate it, and make the draft of the patient's record."""
    sealed = SealedBytes.of(_sealed(body))
    opened_key = open_for_hospital(node, messages.contribution(live.id, body.record), from_wire(body.data_key))
    if len(opened_key) != DATA_KEY_BYTES:
        raise Invalid("the message holds no data key", place="data_key")
    key = DataKey(opened_key)
    opened = sealed.verified(sealed.digest)
    if opened.header.origin != live.caller or [encode_bytes(one) for one in sealed.chunk_list.hashes] != body.chunks:
        raise Invalid("the sealed object is not of its author", place="sealed", reason="author")
    content = unseal(opened, key, object_id=body.object_id).whole(max_bytes=MAX_SEALED_BYTES)
    if content.description.content_type != FHIR_JSON:
        raise Invalid("a FHIR resource is expected", place="sealed", reason="media-type")
    resource = parse_resource(content.content, max_bytes=MAX_SEALED_BYTES)
    verify_resource(resource)
    _verify_subject(node, live.patient, resource)
    return SealedVersion(_draft(node, live, author, body, resource, content), body.object_id, key, sealed)


def _verify_subject(node: Node, patient: str, resource: Resource) -> None:
    """Nothing that says it is about somebody else is filed here: a finding in the wrong chart harms two people.

    The custodian's own names are compared: the patient's id, or one of the patient's Patient records.

    Raises:
        Denied: a reference names another Patient, or the subject cannot be told to be this one (``other-patient``).
    """
    named = {one.text for one in resource.references if one.target_type == _PATIENT}
    subject = compartment(resource.value)
    if subject.patient is not None:
        named.add(subject.patient.reference)
    targets = {parse_reference(written) for written in named}
    ids = {target for kind, resource_type, target in targets if kind is _RELATIVE and resource_type == _PATIENT}
    with node.database.reading() as session:
        own = select(Record.id).where(Record.patient == patient, Record.resource_type == _PATIENT, Record.id.in_(ids))
        known = {patient, *session.scalars(own)}
    if len(ids) != len(targets) or not ids <= known:
        raise Denied("the resource is about another patient", reason="other-patient", place="sealed")


def _draft(
    node: Node,
    live: LiveOpening,
    author: Author,
    body: exchange_wire.ContributionDelivery,
    resource: Resource,
    content: PlainBytes,
) -> Draft:
    if resource.id != body.record:
        raise Invalid("the resource's id is not the record id", place="sealed", reason="record-id")
    return Draft(
        record=body.record,
        version=1,
        kind="patient",
        patient=live.patient,
        resource_type=resource.resource_type,
        category=category(resource.value),
        media_type=FHIR_JSON,
        content=content,
        source_token=node.secrets.blind("contribution", author.msp_id, body.record),
        content_token=node.secrets.blind_content(content.content),
        author=author,
    )


def _check_allowed(node: Node, session: Session, live: LiveOpening, draft: Draft) -> None:
    if isinstance(live.basis, EmergencyBasis):
        raise Denied("nothing is added under break-glass", reason="permission")
    candidate = Candidate(
        record=draft.record,
        version=1,
        kind=draft.kind,
        patient=draft.patient,
        resource_type=draft.resource_type,
        category=draft.category,
        status=READABLE,
        stored_at=ANY_TIME,
    )
    decision = judge(node, session, live).decide(candidate, "contribute")
    if isinstance(decision, Deny):
        raise Denied("the grant does not allow this contribution", reason=decision.reason)


def _sealed(body: exchange_wire.ContributionDelivery) -> bytes:
    return decode_bytes(body.sealed, "sealed", max_length=MAX_SEALED_BYTES)
