"""A CT series: uploaded instance by instance, read here and elsewhere byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.errors import Invalid
from node_service.client.node_client import StaffClient
from patient_wallet.drafts import GrantChoice
from patient_wallet.wallet import Wallet
from tests.scenario.network import Hospital, eventually
from tests.scenario.test_story import emergency_patient, enrolled

INSTANCES = 4
UPLOAD_PIECE_BYTES = 65536


def instances(shared_data: Path) -> list[bytes]:
    folder = shared_data / "ct" / "LIDC-IDRI-0001-slab"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.read_bytes()[128:132] == b"DICM"]
    return [path.read_bytes() for path in paths[:INSTANCES]]


def in_pieces(content: bytes) -> Iterator[bytes]:
    """A chunked upload."""
    yield from (content[at : at + UPLOAD_PIECE_BYTES] for at in range(0, len(content), UPLOAD_PIECE_BYTES))


def upload(archive: StaffClient, files: list[bytes], patient: str, name: str) -> str:
    for content in files:
        archive.ingest_dicom(in_pieces(content), source="pacs", upload=name, patient=patient)
    report = archive.close_dicom(upload=name)
    assert report.dicom_instances == len(files)
    (record,) = {ref.record for ref in report.stored}
    return record


def test_a_series_is_read_elsewhere_under_a_grant_with_the_custodians_exact_bytes(
    renhe: Hospital, tongji: Hospital, new_wallet: Callable[[], Wallet], shared_data: Path
) -> None:
    files = instances(shared_data)
    assert len(files) == INSTANCES
    patient, _ = emergency_patient(renhe)
    record = upload(renhe.staff("archive"), files, patient, "ct-1")
    doctor = renhe.staff("dr")
    members = doctor.record_members(record)
    assert sorted(b"".join(doctor.record_member(record, one.object_id)) for one in members) == sorted(files)

    wallet = new_wallet()
    enrolled(renhe, wallet, patient)
    granted = wallet.grant("RenheMSP", GrantChoice(grantee="TongjiMSP"), tongji.url)
    tongji.clinician.confirm_match(granted.patient, granted.id, None)
    access = tongji.clinician.open_access(granted.patient, granted.id, "TREAT")
    eventually(lambda: doctor.status().outbox == 0)
    shared = tongji.clinician.members(access.id, record)
    assert [one.digest for one in shared] == [one.digest for one in members]
    assert sorted(b"".join(tongji.clinician.member(access.id, record, one.object_id)) for one in shared) == sorted(
        files
    )


def test_an_instance_larger_than_the_buffer_is_sealed_while_it_streams(renhe: Hospital, shared_data: Path) -> None:
    patient, _ = emergency_patient(renhe)
    large = instances(shared_data)[0] + bytes(5 << 20)
    archive = renhe.staff("archive")
    archive.ingest_dicom(in_pieces(large), source="pacs-large", upload="ct-large", patient=patient)
    (record,) = {ref.record for ref in archive.close_dicom(upload="ct-large").stored}
    doctor = renhe.staff("dr")
    (member,) = doctor.record_members(record)
    assert b"".join(doctor.record_member(record, member.object_id)) == large


def test_what_is_no_dicom_is_refused(renhe: Hospital) -> None:
    with pytest.raises(Invalid):
        renhe.staff("archive").ingest_dicom(b"no DICOM at all", source="pacs", upload="ct-2")
