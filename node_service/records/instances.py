"""DICOM instances as they come in: header read, sealed and durable at once; a manifest lists them later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain.checks import check_text
from domain.errors import Conflict, Invalid, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, identifier
from domain.instants import instant
from domain.jcs import JsonObject
from node_service.client.wire import InstanceReceipt
from node_service.context import Node
from node_service.database.models import Member as MemberRow
from node_service.database.models import Record
from node_service.dicom.header import MAX_HEADER_BYTES, DicomPatient, Header, parse_header
from node_service.fhir.identifiers import Identifier, IdentifierType, normalised
from node_service.records.identity import person_identifier_token, person_source_token
from node_service.records.persons import Card, Claim, People
from offchain.envelope.content import Description
from offchain.envelope.header import Header as SealedHeader
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal_stream
from offchain.envelope.suite import SALT_BYTES
from offchain.envelope.wraps import KeyBinding

DICOM: Final = "application/dicom"
RESOURCE_TYPE: Final = "ImagingSeries"
CATEGORY: Final = "imaging"
MEMBER_VERSION: Final = 1
"""Members belong to the record, not to one version of it: their wraps are bound to version 1."""

MAX_UPLOAD_NAME_CHARACTERS: Final = 64
MAX_RACES: Final = 4
OPEN: Final = ("active", "locked")
_GENDERS: Final = {"M": "male", "F": "female", "O": "other"}


@dataclass(frozen=True, slots=True)
class _Sealed:
    """An instance that is sealed and durable in the store."""

    object_id: str
    digest: str
    total_bytes: int
    content_bytes: int
    content_token: bytes = field(repr=False)
    key: DataKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One instance with its identities of input."""

    upload: str
    source: str
    patient: str | None
    header: Header
    series_token: bytes = field(repr=False)
    member_token: bytes = field(repr=False)


def receive_instance(
    node: Node, body: bytes | Iterable[bytes], upload: str, source: str, patient: str | None = None
) -> InstanceReceipt:
    """Take in one DICOM instance; it is sealed and durable when this returns.

    Args:
        node: the hospital.
        body: the file, whole or in pieces; only sealed bytes reach a disk.
        upload: name of the upload that :func:`node_service.records.series.close_upload` will end.
        source: name of the source system.
        patient: the person whose series it is; None: found by Patient ID and issuer.

    Raises:
        Invalid: not DICOM, a DICOMDIR (reason ``dicomdir``), or too large.
        Conflict: the instance is there with other bytes (``other-bytes``), or its series is another patient's or
            closed.
        NotFound: ``patient`` is unknown.
        Unavailable: store, custody or database.
    """
    check_text(upload, "upload", max_characters=MAX_UPLOAD_NAME_CHARACTERS)
    pieces = _bounded((body,) if isinstance(body, bytes) else body, node.settings.max_upload_bytes)
    head, rest = _head(pieces)
    header = parse_header(head, source, len(head))
    if header is None:
        raise Invalid("a DICOMDIR holds no image of its own", reason="dicomdir", place="MediaStorageSOPClassUID")
    arrival = _arrival(node, upload, source, patient, header)
    sealed = _seal(node, chain((head,), rest))
    for _ in range(MAX_RACES):
        try:
            return _write(node, arrival, sealed)
        except Conflict as error:
            if error.reason not in ("integrity", "person"):
                raise
    raise Unavailable("other writers were faster each time", reason="races")


def _arrival(node: Node, upload: str, source: str, patient: str | None, header: Header) -> _Arrival:
    return _Arrival(
        upload=upload,
        source=source,
        patient=patient,
        header=header,
        series_token=node.secrets.blind("series", source, header.series_uid),
        member_token=node.secrets.blind("instance", source, header.sop_instance_uid),
    )


def _head(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, as many as a header may have, and what follows them."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= MAX_HEADER_BYTES:
            break
    return b"".join(parts), pieces


def _bounded(pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > max_bytes:
            raise Invalid(f"an instance has at most {max_bytes} bytes", reason="too-large")
        yield piece


def _seal(node: Node, pieces: Iterable[bytes]) -> _Sealed:
    object_id = identifier(node.random(IDENTIFIER_BYTES))
    key = DataKey(node.random(32))
    counted = _Counted(pieces, node.hashing)
    header = SealedHeader(object_id, node.msp_id, node.random(SALT_BYTES))
    stored = node.blobs.put(seal_stream(counted, Description(DICOM), key, header, executor=node.hashing))
    token = node.secrets.blind("instance-content", counted.digest.hexdigest())
    return _Sealed(object_id, stored.digest, stored.total_bytes, counted.length, token, key)


class _Counted:
    """Passes pieces on, with their length and SHA-256; threads, if given, hash each while it is sealed and written."""

    def __init__(self, pieces: Iterable[bytes], hashing: Executor | None) -> None:
        self._pieces = pieces
        self._hashing = hashing
        self.length = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        hashed: Future[None] | None = None
        for piece in self._pieces:
            self.length += len(piece)
            if hashed is not None:
                hashed.result()  # in order
            if self._hashing is None:
                self.digest.update(piece)
            else:
                hashed = self._hashing.submit(self.digest.update, piece)
            yield piece
        if hashed is not None:
            hashed.result()


def _write(node: Node, arrival: _Arrival, sealed: _Sealed) -> InstanceReceipt:
    people = People(node, arrival.patient)
    claim = _claim(node, arrival.source, arrival.header)
    with node.database.reading() as session:
        people.load(session, [claim])
        present = _series(session, arrival)
    record_id = identifier(node.random(IDENTIFIER_BYTES)) if present is None else present.id
    if present is None or present.status in OPEN:
        node.custody.prepare([record_id])  # a wait for a medium, so before the database is locked
    with node.database.transaction() as session:
        record = _series(session, arrival)
        if record is None:
            record = _open_record(node, session, arrival, people, claim, record_id)
        elif (arrival.patient or claim.identifier_tokens) and record.patient not in people.leads_to(claim):
            # Somebody who was never seen before, too, is somebody else than the patient of the series.
            raise Conflict("the series belongs to another patient", reason="other-patient", place=record.id)
        if record.status not in OPEN:
            raise Conflict("the series is closed", reason=f"record-{record.status}", place=record.id)
        known = session.get(MemberRow, (record.id, arrival.member_token))
        if known is None:
            session.add(_member(node, record.id, arrival, sealed))
        elif known.content_token != sealed.content_token:
            raise Conflict("the instance is there with other bytes", reason="other-bytes", place=record.id)
        elif known.manifest_version is None:
            own = (MemberRow.record == record.id, MemberRow.member_token == arrival.member_token)
            session.execute(update(MemberRow).where(*own).values(upload=arrival.upload))
        return InstanceReceipt(upload=arrival.upload, record=record.id, changed=known is None)


def _series(session: Session, arrival: _Arrival) -> Record | None:
    return session.scalars(select(Record).where(Record.source_token == arrival.series_token)).one_or_none()


def _open_record(
    node: Node, session: Session, arrival: _Arrival, people: People, claim: Claim, record_id: str
) -> Record:
    patient = people.decide(claim).patient
    people.write(session)
    record = Record(
        id=record_id,
        kind="patient",
        patient=patient,
        resource_type=RESOURCE_TYPE,
        category=CATEGORY,
        media_type=DICOM,
        source_token=arrival.series_token,
        current_version=0,
        status="active",
        created_at=instant(node.clock.now()),
    )
    session.add(record)
    session.flush()
    return record


def _member(node: Node, record: str, arrival: _Arrival, sealed: _Sealed) -> MemberRow:
    wrap = node.custody.wrap([(KeyBinding(sealed.object_id, record, MEMBER_VERSION), sealed.key)])[0]
    attributes = json.dumps(_attributes(arrival.header, sealed.content_bytes)).encode()
    return MemberRow(
        record=record,
        member_token=arrival.member_token,
        object_id=sealed.object_id,
        digest=decode_bytes(sealed.digest, "digest"),
        length=sealed.total_bytes,
        content_token=sealed.content_token,
        wrap=wrap.encode(),
        manifest_version=None,
        received_at=instant(node.clock.now()),
        upload=arrival.upload,
        attributes=node.secrets.seal_local(["member", "attributes", sealed.object_id], attributes, node.random),
    )


def _attributes(header: Header, length: int) -> JsonObject:
    """What the manifest says about one member and about its series."""
    return {
        "length": length,
        "member": {
            "sopInstanceUid": header.sop_instance_uid,
            "sopClassUid": header.sop_class_uid,
            "transferSyntaxUid": header.transfer_syntax_uid,
            "instanceNumber": header.instance_number,
        },
        "series": {
            "studyInstanceUid": header.study_uid,
            "seriesInstanceUid": header.series_uid,
            "modality": _code(header.modality),
            "bodyPart": _code(header.body_part),
            "date": _date(header.series_date),
        },
    }


def _claim(node: Node, source: str, header: Header) -> Claim:
    """By Patient ID and issuer, by default the source; without a Patient ID by the study."""
    patient = header.patient
    value = normalised(IdentifierType.MEDICAL_RECORD, patient.patient_id)
    if not value:
        return Claim(person_source_token(node.secrets, source, f"study {header.study_uid}"), (), _card(patient))
    number = Identifier(IdentifierType.MEDICAL_RECORD, patient.issuer, value, 0)
    token = person_identifier_token(node.secrets, source, number)
    tokens = () if token is None else ((token, number.type.value),)
    return Claim(None, tokens, _card(patient, number))


def _card(patient: DicomPatient, *numbers: Identifier) -> Card:
    spelled = (patient.name_ideographic, patient.name_alphabetic)
    names = (" ".join(part for part in reversed(name.split("^")[:2]) if part) for name in spelled)
    return Card(
        tuple(name for name in names if name),
        _GENDERS.get(patient.sex, ""),
        _date(patient.birth_date),
        tuple(number.key for number in numbers),
    )


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else ""


def _code(text: str) -> str:
    """A code string of DICOM (VR CS); anything else there may be a person's free text."""
    return text if text.isascii() and len(text) <= 16 else ""
