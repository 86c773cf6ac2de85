"""Taking a document in: its bytes become a record as they are, a DocumentReference another, derived from the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import Conflict, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from domain.jcs import JsonObject
from node_service.client.wire import IngestReport, InputIssue, RecordRef
from node_service.context import Node
from node_service.database.models import Record
from node_service.documents.facts import DOCUMENT, REFERENCE, Facts, Reference
from node_service.fhir.quality import Finding, FindingCode, findings
from node_service.records.drafts import FHIR_JSON, Draft
from node_service.records.identity import document_reference_token
from node_service.records.ingest import Also
from node_service.records.known import Known, known_record, known_records, records_by_token
from node_service.records.owners import INSTITUTION, Owner
from node_service.records.persons import Card, Claim, People, claim_of_patient
from node_service.records.quality import write_findings
from node_service.records.reading import open_version
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.writing import write_versions
from offchain.envelope.content import Description, PlainBytes

CATEGORY: Final = "document"
MAX_RACES: Final = 4


@dataclass(frozen=True, slots=True)
class Arrival:
    """One document that came.

    Attributes:
        names: blind tokens of its identities; the first one is kept as its identity of input.
        replaced: blind tokens of documents that it replaces by its own word.
        patients: whose it is, as Patient resources; none where only the caller can say.
        version_number: within its set, None where not stated.
        version_of: reads the same number out of the bytes that are there already.
        noted: what is odd in it.
    """

    source: str
    media_type: str
    content: bytes = field(repr=False)
    facts: Facts
    names: tuple[bytes, ...] = field(repr=False)
    replaced: tuple[bytes, ...] = field(default=(), repr=False)
    patients: tuple[JsonObject, ...] = field(default=(), repr=False)
    version_number: int | None = None
    version_of: Callable[[bytes], int | None] = field(default=lambda _content: None, repr=False)
    noted: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Plan:
    people: People
    drafts: list[Draft] = field(default_factory=list)
    unchanged: bool = False
    refused: str = ""
    findings: list[Finding] = field(default_factory=list)


def take_document(
    node: Node, arrival: Arrival, patient: str | None = None, *, also: Also | None = None
) -> IngestReport:
    """Take one document in; ``stored`` is durable when this returns.

    The same bytes again change nothing; other bytes under the same identity are the next version of both records. An
    older version than the one that is here, or a document of somebody else under the same identity, is refused.

    Args:
        node: the hospital.
        arrival: the document.
        patient: the person whose document it is, if the caller says so.
        also: written in the same transaction.

    Raises:
        NotFound: ``patient`` is unknown.
        Unavailable: store, custody or database; the call may be repeated.
    """
    run = identifier(node.random(IDENTIFIER_BYTES))
    for _ in range(MAX_RACES):
        with node.database.reading() as session:
            made = _plan(node, session, arrival, patient)
        try:
            return _report(arrival, run, made, _write(node, run, made, also) if made.drafts else [])
        except Conflict:
            continue
    raise Unavailable("other writers were faster each time", reason="races")


def _plan(node: Node, session: Session, arrival: Arrival, patient: str | None) -> _Plan:
    made = _Plan(People(node, patient))
    known = _known(session, arrival)
    content_token = node.secrets.blind_content(arrival.content)
    if known is not None and known.content_token == content_token:
        made.unchanged = True
        return made
    owner = _owner(node, session, arrival, patient, made)
    made.refused = "" if known is None else _refusal(node, arrival, known, owner)
    if made.refused:
        return made
    source = _source_draft(node, arrival, owner, known, content_token)
    made.drafts = [source, _reference_draft(node, session, arrival, source)]
    made.findings.extend(arrival.noted)
    for number, subject in enumerate(arrival.patients):
        made.findings.extend(findings(subject, place=f"patient[{number}]", now=node.clock.now()))
    return made


def _known(session: Session, arrival: Arrival) -> Known | None:
    """The document by its own identities, else one that it replaces; an erased one has its first name alone."""
    named = known_records(session, {arrival.names[0]}).get(arrival.names[0])
    if named is not None:
        return named
    by_token = records_by_token(session, {*arrival.names, *arrival.replaced})
    for token in (*arrival.names, *arrival.replaced):
        if token in by_token:
            return known_record(session, by_token[token])
    return None


def _refusal(node: Node, arrival: Arrival, known: Known, owner: Owner) -> str:
    if (known.kind, known.patient) != (owner.kind, owner.patient):
        return "other-patient"
    if known.status != "active":
        return f"record-{known.status}"
    if arrival.version_number is not None:
        here = arrival.version_of(open_version(node, known.record, known.version).content)
        if here is not None and arrival.version_number < here:
            return "older-version"
    return ""


def _owner(node: Node, session: Session, arrival: Arrival, patient: str | None, made: _Plan) -> Owner:
    """The one patient; several different ones: the institution's."""
    claims = [claim_of_patient(node, arrival.source, one) for one in arrival.patients] or [Claim(None, (), Card())]
    made.people.load(session, claims)
    if patient is None and len(claims) > 1:
        return INSTITUTION
    decided = made.people.decide(claims[0])
    if decided.contradiction:
        made.findings.append(Finding(FindingCode.CONTRADICTION, "patient[0]"))
    return Owner("patient", decided.patient)


def _source_draft(node: Node, arrival: Arrival, owner: Owner, known: Known | None, content_token: bytes) -> Draft:
    start, end = arrival.facts.clinical
    return Draft(
        record=known.record if known else identifier(node.random(IDENTIFIER_BYTES)),
        version=known.version + 1 if known else 1,
        kind=owner.kind,
        patient=owner.patient,
        resource_type=DOCUMENT,
        category=CATEGORY,
        media_type=arrival.media_type,
        content=PlainBytes(arrival.content, Description(arrival.media_type)),
        source_token=arrival.names[0],
        content_token=content_token,
        clinical=(start or None, end or None),
        tokens=arrival.names,
        previous_leaf=known.leaf_hash if known else None,
    )


def _reference_draft(node: Node, session: Session, arrival: Arrival, source: Draft) -> Draft:
    token = document_reference_token(node.secrets, source.record)
    known = known_records(session, {token}).get(token)
    reference = Reference(
        record=known.record if known else identifier(node.random(IDENTIFIER_BYTES)),
        version=known.version + 1 if known else 1,
        at=instant(node.clock.now()),
        source=source.record,
        media_type=arrival.media_type,
        size_bytes=len(arrival.content),
        subject=_patient_record(session, source.patient),
    )
    content = reference.encode(arrival.facts)
    return Draft(
        record=reference.record,
        version=reference.version,
        kind=source.kind,
        patient=source.patient,
        resource_type=REFERENCE,
        category=CATEGORY,
        media_type=FHIR_JSON,
        content=PlainBytes(content, Description(FHIR_JSON)),
        source_token=token,
        content_token=node.secrets.blind_content(content),
        clinical=source.clinical,
        previous_leaf=known.leaf_hash if known else None,
        derived_from=source.record,
    )


def _patient_record(session: Session, patient: str | None) -> str | None:
    if patient is None:
        return None
    own = (Record.patient == patient, Record.resource_type == "Patient", Record.status == "active")
    return session.scalars(select(Record.id).where(*own).order_by(Record.created_at, Record.id).limit(1)).first()


def _write(node: Node, run: str, made: _Plan, also: Also | None) -> list[RecordRef]:
    versions = [seal_draft(node, draft) for draft in made.drafts]
    put_sealed(node, versions)
    with node.database.transaction() as session:
        made.people.write(session)
        write_findings(node, session, run, made.findings)
        written = write_versions(node, session, versions)
        if also is not None:
            also(session, written)
    return written


def _report(arrival: Arrival, run: str, made: _Plan, stored: list[RecordRef]) -> IngestReport:
    reason = f"{made.refused}: the record under this identity cannot take the document"
    return IngestReport(
        run=run,
        stored=stored,
        unchanged=int(made.unchanged),
        skipped=[],
        refused=[InputIssue(source=arrival.source, reason=reason)] if made.refused else [],
        resources_by_type=dict(Counter(one.resource_type for one in stored)),
        quality=dict(Counter(one.code.value for one in made.findings)) if stored else {},
    )
