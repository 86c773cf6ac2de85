"""DICOM instances: sealed at once, listed by a manifest when their upload is closed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian
from sqlalchemy import select

from domain.errors import Conflict, Invalid, NotFound
from node_service.client.wire import IngestReport
from node_service.database.models import Member, Record
from node_service.records.entries import entry
from node_service.records.instances import receive_instance
from node_service.records.reading import open_member, open_members
from node_service.records.series import close_upload
from tests.unit.node_service.records.hospital import Hospital, PreparedOnly

SERIES = "1.2.826.0.1.3680043.8.498.1"


def instance(number: int, *, series: str = SERIES, patient: str = "P-1", pixels: bytes = b"\x01\x02") -> bytes:
    """A small DICOM file (PS3.10)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    meta.MediaStorageSOPInstanceUID = UID(f"{series}.{number}")
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.9", series
    dataset.Modality, dataset.SeriesDate, dataset.InstanceNumber = "CT", "20240229", number
    dataset.PatientID, dataset.PatientName, dataset.PatientSex = patient, "Synthetic^Sally", "F"
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB"
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def content(hospital: Hospital, record: str) -> list[bytes]:
    """The members' bytes in the manifest's order."""
    opened = []
    for member in open_members(hospital.node, record).members:
        with open_member(hospital.node, member) as plain:
            opened.append(plain.whole(max_bytes=1 << 30).content)
    return opened


def upload(hospital: Hospital, *files: bytes, name: str = "first") -> IngestReport:
    for file in files:
        receive_instance(hospital.node, file, name, "pacs")
    return close_upload(hospital.node, name)


def test_a_closed_series_is_one_record_with_its_instances_in_order(hospital: Hospital) -> None:
    files = [instance(number) for number in (2, 1, 3)]
    report = upload(hospital, *files)
    assert (len(report.stored), report.dicom_instances) == (1, 3)
    record = report.stored[0].record
    assert content(hospital, record) == [files[1], files[0], files[2]]
    hospital.settle()
    with hospital.node.database.reading() as session:
        shown = entry(hospital.node, session, record)
    assert (shown.state, shown.category, shown.resource_type) == ("anchored", "imaging", "ImagingSeries")
    assert shown.clinical_start == "2024-02-29"


def test_threads_that_hash_beside_sealing_see_the_same_bytes(hospital: Hospital) -> None:
    large = instance(1, pixels=bytes(range(256)) * 12_000)
    pieces = [large[start : start + 10_000] for start in range(0, len(large), 10_000)]
    with ThreadPoolExecutor(2) as threads:
        beside = replace(hospital.node, hashing=threads)
        assert receive_instance(beside, iter(pieces), "first", "pacs").changed
        assert not receive_instance(hospital.node, large, "first", "pacs").changed
        with pytest.raises(Conflict) as refused:
            receive_instance(beside, iter([*pieces[:-1], bytes(len(pieces[-1]))]), "first", "pacs")
    assert refused.value.reason == "other-bytes"
    record = close_upload(hospital.node, "first").stored[0].record
    assert content(hospital, record) == [large]


def test_a_series_is_not_a_record_before_its_upload_is_closed(hospital: Hospital) -> None:
    receipt = receive_instance(hospital.node, instance(1), "first", "pacs")
    with hospital.node.database.reading() as session, pytest.raises(NotFound):
        entry(hospital.node, session, receipt.record)


def test_the_same_bytes_again_are_a_success_and_other_bytes_are_refused(hospital: Hospital) -> None:
    receive_instance(hospital.node, instance(1), "first", "pacs")
    again = receive_instance(hospital.node, instance(1), "first", "pacs")
    assert again.changed is False
    with pytest.raises(Conflict) as refused:
        receive_instance(hospital.node, instance(1, pixels=b"\x09\x09"), "first", "pacs")
    assert refused.value.reason == "other-bytes"


def test_a_late_instance_makes_the_next_version_and_nothing_is_sealed_again(hospital: Hospital) -> None:
    first = upload(hospital, instance(1), instance(2)).stored[0]
    before = {member.object_id for member in open_members(hospital.node, first.record).members}
    second = upload(hospital, instance(2), instance(3), name="second").stored[0]
    assert (second.record, second.version) == (first.record, 2)
    after = {member.object_id for member in open_members(hospital.node, first.record).members}
    assert before < after
    assert len(after) == 3


def test_closing_twice_makes_no_second_version(hospital: Hospital) -> None:
    upload(hospital, instance(1))
    assert close_upload(hospital.node, "first").stored == []


def test_an_instance_left_by_a_broken_upload_is_taken_over_by_the_next_one(hospital: Hospital) -> None:
    receive_instance(hospital.node, instance(1), "broken", "pacs")
    report = upload(hospital, instance(1), name="second")
    assert report.dicom_instances == 1


def test_an_instance_of_another_known_patient_does_not_join_a_series(hospital: Hospital) -> None:
    upload(hospital, instance(1, series=f"{SERIES}.7", patient="P-2"))
    upload(hospital, instance(1), name="second")
    with pytest.raises(Conflict) as refused:
        receive_instance(hospital.node, instance(2, patient="P-2"), "third", "pacs")
    assert refused.value.reason == "other-patient"


def test_an_instance_of_somebody_new_does_not_join_a_series(hospital: Hospital) -> None:
    upload(hospital, instance(1))
    with pytest.raises(Conflict) as refused:
        receive_instance(hospital.node, instance(2, patient="P-never-seen"), "second", "pacs")
    assert refused.value.reason == "other-patient"


def test_an_instance_without_patient_id_joins_the_series_that_names_it(hospital: Hospital) -> None:
    record = upload(hospital, instance(1)).stored[0].record
    assert receive_instance(hospital.node, instance(2, patient=""), "second", "pacs").record == record


def test_one_patient_id_of_one_issuer_is_one_person(hospital: Hospital) -> None:
    upload(hospital, instance(1), instance(1, series=f"{SERIES}.8"), instance(1, series=f"{SERIES}.9", patient="P-3"))
    with hospital.node.database.reading() as session:
        patients = sorted(session.scalars(select(Record.patient)), key=str)
    assert len(patients) == 3
    assert len(set(patients)) == 2


def test_what_a_header_said_is_forgotten_by_the_rows_once_the_manifest_has_it(hospital: Hospital) -> None:
    upload(hospital, instance(1))
    with hospital.node.database.reading() as session:
        assert session.scalars(select(Member.attributes)).all() == [None]


def test_no_secret_is_made_while_the_database_is_locked(hospital: Hospital) -> None:
    """Making one waits for the disk and for the replica."""
    node = replace(hospital.node, custody=PreparedOnly(hospital.node.custody))
    first = receive_instance(node, instance(1), "first", "pacs")
    assert receive_instance(node, instance(2), "first", "pacs").record == first.record
    assert close_upload(node, "first").dicom_instances == 2


def test_what_is_not_dicom_is_refused_and_leaves_no_row(hospital: Hospital) -> None:
    with pytest.raises(Invalid):
        receive_instance(hospital.node, b"\x00" * 500, "first", "pacs")
    with hospital.node.database.reading() as session:
        assert session.scalars(select(Record.id)).all() == []


@pytest.mark.shared_data
def test_a_real_ct_series_comes_back_byte_for_byte(hospital: Hospital, shared_data: Path) -> None:
    files = sorted((shared_data / "ct" / "LIDC-IDRI-0002-slab").rglob("*.dcm"))
    assert files
    with_pieces = [path.read_bytes() for path in files]
    for body in with_pieces:
        receive_instance(hospital.node, iter([body[:100], body[100:]]), "ct", "pacs")
    report = close_upload(hospital.node, "ct")
    assert sorted(content(hospital, report.stored[0].record)) == sorted(with_pieces)
