"""Filing a wrongly filed record anew under the right person: new ids, new keys, references to the right Patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, identifier
from domain.instants import instant
from node_service.client.wire import RecordRef
from node_service.context import Node
from node_service.database.models import Member as MemberRow
from node_service.database.models import Person, Record, RecordToken, RecordVersion
from node_service.fhir.references import ReferenceKind
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.splice import Splice, apply, splice
from node_service.records.drafts import FHIR_JSON, Draft, SealedVersion
from node_service.records.identity import document_reference_token
from node_service.records.instances import MEMBER_VERSION
from node_service.records.reading import MAX_CONTENT_BYTES, VersionKey, open_member, version_keys
from node_service.records.sealing import open_undo, put_sealed, seal_draft
from node_service.records.writing import write_versions
from offchain.envelope.composite import MANIFEST_TYPE, Manifest, Member, open_manifest
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal_stream
from offchain.envelope.suite import SALT_BYTES
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import KeyBinding

PURPOSE: Final = "refile"


@dataclass(frozen=True, slots=True)
class Refiled:
    """A record as it will be filed anew; its sealed objects are in the store already."""

    old: str
    version: SealedVersion
    members: tuple[tuple[MemberRow, Member], ...] = field(repr=False)


def refile(node: Node, session: Session, records: Sequence[Record], patient: str) -> list[Refiled]:
    """Open records, and seal their current versions anew for the right person; nothing is written to the database.

    Args:
        node: the hospital.
        session: a view of the database.
        records: a family of one, wrong, patient.
        patient: the right person.

    Raises:
        NotFound: there is no such person.
        Invalid: the record is a Patient resource, or already that person's.
        Conflict: a series that is not closed yet; or the right person has no Patient resource to refer to.
        Tampered, Unavailable: as opening records.
    """
    target = _references(session, records, patient)
    ids = {row.id: identifier(node.random(IDENTIFIER_BYTES)) for row in records}
    versions = [(row.id, row.current_version) for row in records]
    if any(version == 0 for _, version in versions):
        raise Conflict("the series has no manifest yet; close its upload first", reason="series-open")
    made = []
    for row, held in zip(records, version_keys(node, versions, purpose=PURPOSE), strict=True):
        made.append(_refiled(node, session, row, held, _Place(patient, ids, target)))
    put_sealed(node, [one.version for one in made])
    return made


def write_refiled(node: Node, session: Session, made: Sequence[Refiled]) -> list[RecordRef]:
    """Write the new records; names at the source lead to them from now on, in the caller's transaction."""
    for one in made:
        taken = update(Record).where(Record.id == one.old).values(source_token=node.random(32))
        session.execute(taken)
    ordered = sorted(made, key=lambda one: one.version.draft.derived_from is not None)
    written = write_versions(node, session, [one.version for one in ordered])
    for one in made:
        new = one.version.draft.record
        session.execute(update(RecordToken).where(RecordToken.record == one.old).values(record=new))
        session.add_all(_member_row(node, new, row, member) for row, member in one.members)
    return written


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose it becomes, new id by old one, and the references that change."""

    patient: str
    ids: Mapping[str, str]
    references: Mapping[str, str]

    def moved(self, reference: str) -> str:
        """A stored reference as it reads in the new place."""
        return self.references.get(reference, reference)

    def renamed(self, content: bytes) -> bytes:
        """The family's own ids, wherever they stand: random, and as long as the ones before."""
        for old, new in self.ids.items():
            content = content.replace(old.encode(), new.encode())
        return content


def _references(session: Session, records: Sequence[Record], patient: str) -> dict[str, str]:
    """References to the wrong person's Patient resources, and what they become."""
    if session.get(Person, patient) is None:
        raise NotFound("there is no such patient", reason="no-patient")
    wrong = {row.patient for row in records if row.patient is not None}
    if patient in wrong or any(row.resource_type == "Patient" for row in records):
        raise Invalid("only a record about a patient is filed anew, under another person", reason="refile")
    right = _patient_records(session, {patient})
    if not right and any(row.media_type == FHIR_JSON for row in records):
        raise Conflict("the right person has no Patient resource yet", reason="no-patient-resource", place=patient)
    return {f"Patient/{one}": f"Patient/{right[0]}" for one in _patient_records(session, wrong)} if right else {}


def _patient_records(session: Session, patients: set[str]) -> list[str]:
    query = select(Record.id).where(Record.patient.in_(patients), Record.resource_type == "Patient")
    return list(session.scalars(query.where(Record.status == "active").order_by(Record.created_at, Record.id)))


def _refiled(node: Node, session: Session, row: Record, held: VersionKey, place: _Place) -> Refiled:
    with node.blobs.get(held.digest) as sealed:
        opened = unseal(sealed, held.key, object_id=held.object_id)
        if opened.description.content_type == MANIFEST_TYPE:
            manifest = open_manifest(sealed, held.key, object_id=held.object_id)
            return _refiled_series(node, session, row, manifest, place)
        plain = opened.whole(max_bytes=MAX_CONTENT_BYTES)
    content, undo = plain, tuple[Splice, ...]()
    if row.media_type == FHIR_JSON:
        content, undo = _respliced(node, row, held, plain, place)
    return Refiled(row.id, seal_draft(node, _draft(node, session, row, content, undo, place)), ())


def _respliced(
    node: Node, row: Record, held: VersionKey, plain: PlainBytes, place: _Place
) -> tuple[PlainBytes, tuple[Splice, ...]]:
    """The received bytes, spliced anew."""
    stored = parse_resource(plain.content, max_bytes=MAX_CONTENT_BYTES)
    received = parse_resource(
        apply(plain.content, open_undo(held.undo, held.key, held.object_id)), max_bytes=MAX_CONTENT_BYTES
    )
    spliced = splice(
        received,
        record_id=place.ids[row.id],
        version_id="1",
        last_updated=instant(node.clock.now()),
        references=_changed(stored, received, place),
    )
    return PlainBytes(place.renamed(spliced.stored), Description(FHIR_JSON)), spliced.undo


def _changed(stored: Resource, received: Resource, place: _Place) -> dict[int, str]:
    """New text by position: references keep their order from the received to the stored form."""
    if len(stored.references) != len(received.references):
        raise Invalid("the received form has other references than the stored one", reason="refile")
    pairs = enumerate(zip(stored.references, received.references, strict=True))
    texts = ((number, place.moved(one.text), other.text) for number, (one, other) in pairs if _is_outer(one.kind))
    return {number: text for number, text, before in texts if text != before}


def _is_outer(kind: ReferenceKind) -> bool:
    return kind is not ReferenceKind.CONTAINED


def _refiled_series(node: Node, session: Session, row: Record, manifest: Manifest, place: _Place) -> Refiled:
    """Every instance is sealed anew: the wrong person's wallet knew the keys of the old ones."""
    rows = {one.object_id: one for one in session.scalars(select(MemberRow).where(MemberRow.record == row.id))}
    members = []
    for member in manifest.members:
        key, object_id = DataKey(node.random(32)), identifier(node.random(IDENTIFIER_BYTES))
        header = Header(object_id, node.msp_id, node.random(SALT_BYTES))
        with open_member(node, member) as opened:
            pieces = (bytes(piece) for piece in opened.stream())
            stored = node.blobs.put(seal_stream(pieces, opened.description, key, header, executor=node.hashing))
        made = Member(object_id, stored.digest, member.length, key, member.attributes)
        copied = rows[member.object_id]
        members.append((_copy_of(copied, stored.total_bytes), made))
    listed = Manifest(tuple(member for _, member in members), manifest.attributes)
    version = seal_draft(node, _draft(node, session, row, listed, (), place))
    return Refiled(row.id, version, tuple(members))


def _draft(
    node: Node,
    session: Session,
    row: Record,
    content: PlainBytes | Manifest,
    undo: tuple[Splice, ...],
    place: _Place,
) -> Draft:
    held = session.get_one(RecordVersion, (row.id, row.current_version))
    source = None if row.derived_from is None else place.ids.get(row.derived_from)
    return Draft(
        record=place.ids[row.id],
        version=1,
        kind="patient",
        patient=place.patient,
        resource_type=row.resource_type,
        category=row.category,
        media_type=row.media_type,
        content=content,
        source_token=_identity(node, row, source),
        content_token=held.content_token,
        clinical=(held.clinical_start, held.clinical_end),
        undo=undo,
        derived_from=source,
    )


def _identity(node: Node, row: Record, source: str | None) -> bytes:
    """By which the source's later versions find the record: what describes a document is known by the document."""
    described = source is not None and row.derived_from is not None
    if described and row.source_token == document_reference_token(node.secrets, row.derived_from or ""):
        return document_reference_token(node.secrets, source or "")
    return row.source_token


def _copy_of(row: MemberRow, total_bytes: int) -> MemberRow:
    return MemberRow(
        record=row.record, member_token=row.member_token, object_id=row.object_id, digest=row.digest,
        length=total_bytes, content_token=row.content_token, wrap=row.wrap, manifest_version=1,
        upload=row.upload, attributes=None, received_at=row.received_at,
    )  # fmt: skip


def _member_row(node: Node, record: str, row: MemberRow, member: Member) -> MemberRow:
    wrap = node.custody.wrap([(KeyBinding(member.object_id, record, MEMBER_VERSION), member.key)])[0]
    row.record, row.object_id, row.wrap = record, member.object_id, wrap.encode()
    row.digest, row.received_at = decode_bytes(member.digest, "digest"), instant(node.clock.now())
    return row
