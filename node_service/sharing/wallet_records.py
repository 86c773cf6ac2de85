"""The patient's own records for the wallet: lists, and sealed records with the patient's own wraps."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import check_identifier, decode_bytes, encode_bytes
from node_service.access_log.rows import Entry, record_alone
from node_service.client import wire
from node_service.context import Node
from node_service.database.models import Member, Person, Record, RecordVersion, Wrap
from node_service.records import entries as record_entries
from node_service.records.evidence import leaf_and_path
from node_service.sharing.candidates import ledger_statuses
from node_service.sharing.objects import MAX_RANGE_BYTES
from node_service.sharing.release import MAX_INLINE_BYTES, wire_path

READABLE = ("active", "locked")


def list_records(node: Node, patient: str, after: str | None = None) -> wire.RecordPage:
    """A page of the patient's records.

    Raises:
        Unavailable: the access row cannot be written.
    """
    with node.database.reading() as session:
        page = record_entries.page_of_patient(node, session, patient, after=after)
    record_alone(node, Entry("search", node.msp_id, "patient", patient))
    return wire.RecordPage(items=[_shown(entry) for entry in page.items], next=page.next)


def sealed_record(node: Node, patient: str, record: str) -> wire.SealedRecord:
    """The current version, sealed, with the data key wrapped for the patient, so that the wallet opens it by itself.

    Raises:
        NotFound: no such record of this patient.
        Conflict: the wrap for the patient is not made yet (``no-wrap``); ask again.
        Unavailable: the access row cannot be written.
    """
    with node.database.reading() as session:
        entry = record_entries.entry(node, session, check_identifier(record, "record"))
        if entry.patient != patient or entry.status not in READABLE or not _stands(node, session, record):
            raise NotFound("there is no such record", reason="no-record")
        version = session.get_one(RecordVersion, (record, entry.version))
        wrap = _patient_wrap(session, patient, version)
        leaf, path = leaf_and_path(node, session, record, entry.version)
    with node.blobs.get(encode_bytes(version.digest)) as sealed:
        inline = sealed.whole().data if sealed.geometry.total_bytes <= MAX_INLINE_BYTES else None
        chunks = [encode_bytes(value) for value in sealed.chunk_list.hashes]
    record_alone(node, Entry("export", node.msp_id, "patient", patient, (record,)))
    return wire.SealedRecord(
        entry=entry,
        object_id=version.object_id,
        leaf=encode_bytes(leaf),
        path=None if path is None else wire_path(path),
        wrap=encode_bytes(wrap),
        chunks=chunks,
        sealed=None if inline is None else encode_bytes(inline),
    )


def own_object(node: Node, patient: str, digest: str, offset: int, length: int) -> bytes:
    """A range of the sealed bytes of an object of the patient's own records, cut at its end, empty beyond it.

    Raises:
        NotFound: no such object of this patient.
        Invalid: the range is empty, or too long.
        Tampered: the stored object was altered.
    """
    raw = decode_bytes(digest, "digest", length=32)
    with node.database.reading() as session:
        total = _own_length(node, session, patient, raw)
    if total is None:
        raise NotFound("there is no such object", reason="no-object")
    if offset < 0 or not 0 < length <= MAX_RANGE_BYTES:
        raise Invalid(f"a range has 1 to {MAX_RANGE_BYTES} bytes", reason="range")
    if offset >= total:
        return b""
    return node.blobs.get_range(digest, offset, min(length, total - offset))


def _shown(entry: wire.RecordEntry) -> wire.RecordEntry:
    """Of a retracted record only that it was: it may have been somebody else's."""
    if entry.status in READABLE:
        return entry
    blank = {"resource_type": "", "category": "", "media_type": "", "clinical_start": None, "clinical_end": None}
    return entry.model_copy(update=blank)


def _patient_wrap(session: Session, patient: str, version: RecordVersion) -> bytes:
    person = session.get_one(Person, patient)
    row = session.get(Wrap, (version.record, version.version, "patient", str(person.key_epoch)))
    if row is None:
        raise Conflict("the wrap for the patient is not made yet", reason="no-wrap", place=version.record)
    return row.wrap


def _own_length(node: Node, session: Session, patient: str, digest: bytes) -> int | None:
    own = (Record.patient == patient, Record.status.in_(READABLE))
    versions = select(Record.id, RecordVersion.length).join(Record, Record.id == RecordVersion.record)
    members = select(Record.id, Member.length).join(Record, Record.id == Member.record)
    held = session.execute(versions.where(RecordVersion.digest == digest, *own)).first()
    found = held or session.execute(members.where(Member.digest == digest, *own)).first()
    return found.length if found is not None and _stands(node, session, found.id) else None


def _stands(node: Node, session: Session, record: str) -> bool:
    """False for what the ledger calls retracted or erased: as somebody else's it was never this patient's to read."""
    return ledger_statuses(node, session, [record]).get(record, "active") in READABLE
