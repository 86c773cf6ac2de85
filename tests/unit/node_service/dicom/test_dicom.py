"""Headers are read within bounds, and files are grouped into series."""

from __future__ import annotations

import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
)

from domain.errors import Invalid
from node_service.dicom.header import MAX_READS, Header, may_be_dicom, parse_header, read_header
from node_service.dicom.series import Grouping, group_series
from tests.fuzz import dicom


def image(**changes: object) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "1.2.3.1"
    dataset.StudyInstanceUID = "1.2.1"
    dataset.SeriesInstanceUID = "1.2.2"
    dataset.Modality = "CT"
    dataset.PatientID = "P-1"
    dataset.PatientName = "Ceshi^San=测试^三"
    dataset.PatientSex = "F"
    dataset.PatientBirthDate = "19900102"
    dataset.SeriesDate = "20260131"
    dataset.BodyPartExamined = "CHEST"
    dataset.InstanceNumber = 7
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def write(path: Path, dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    dataset.save_as(path, enforce_file_format=True)
    return path


def read(path: Path) -> Header:
    header = read_header(path, path.name)
    assert header is not None
    return header


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_header_is_read_in_every_encoding(tmp_path: Path, syntax: str) -> None:
    path = write(tmp_path / "x", image(), syntax)
    header = read(path)
    assert header.transfer_syntax_uid == syntax
    assert (header.study_uid, header.series_uid, header.sop_instance_uid) == ("1.2.1", "1.2.2", "1.2.3.1")
    assert (header.modality, header.body_part, header.series_date, header.instance_number) == (
        "CT", "CHEST", "20260131", 7,
    )  # fmt: skip
    assert header.length_bytes == path.stat().st_size
    patient = header.patient
    assert (patient.patient_id, patient.issuer, patient.sex, patient.birth_date) == ("P-1", "", "F", "19900102")
    assert (patient.name_alphabetic, patient.name_ideographic) == ("Ceshi^San", "测试^三")


def test_compressed_pixels_are_not_decoded(tmp_path: Path) -> None:
    dataset = image(Rows=1, Columns=1, BitsAllocated=16, SamplesPerPixel=1, PixelRepresentation=0)
    dataset.PixelData = (
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00junk\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    )
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    assert read(write(tmp_path / "x", dataset, JPEGLSLossless)).transfer_syntax_uid == JPEGLSLossless


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    dataset = image()
    dataset.save_as(tmp_path / "x", implicit_vr=False, little_endian=True, enforce_file_format=False)
    content = (tmp_path / "x").read_bytes()
    assert content[128:132] != b"DICM"
    assert may_be_dicom(content[:132])
    assert read(tmp_path / "x").sop_instance_uid == "1.2.3.1"


def test_a_directory_file_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "DICOMDIR", image(SOPClassUID=MediaStorageDirectoryStorage))
    assert read_header(path, "DICOMDIR") is None


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_file_without_one_of_its_uids_is_refused(tmp_path: Path, keyword: str) -> None:
    path = write(tmp_path / "x", image(**{keyword: None}))
    with pytest.raises(Invalid) as refused:
        read(path)
    assert refused.value.place == keyword


@pytest.mark.parametrize("uid", ["1.2.x", "../../etc", "1" * 65, "1 2"])
def test_a_uid_that_is_none_is_refused(tmp_path: Path, uid: str) -> None:
    with pydicom.config.disable_value_validation():
        path = write(tmp_path / "x", image(SeriesInstanceUID=uid))
    with pytest.raises(Invalid, match="UIDs"):
        read(path)


def test_pydicom_quotes_nothing_of_a_broken_file(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "x", image())
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"SECRETNAME"))
    assert read(path).patient.patient_id == "P-1"
    assert not recwarn.list
    assert not caplog.records


def test_an_inflated_header_stops_at_the_bound(tmp_path: Path) -> None:
    path = write(tmp_path / "x", image(), DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    meta_end = content.index(b"1.2.840.10008.1.2.1.99") + 22
    bomb = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(content[:meta_end] + bomb.compress(b"\0" * (64 << 20)) + bomb.flush())
    with pytest.raises(Invalid):
        read_header(path, "x", max_header_bytes=1 << 16)


@pytest.mark.parametrize("cut", [133, 160, 200, 340])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "x", image())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Invalid):
        read(path)


def test_a_file_that_ends_within_a_uid_is_refused_and_not_filed_under_a_part_of_it(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.dcm", image(SeriesInstanceUID="1.2.3.4.5.6")).read_bytes()
    begin = whole.index(b"\x20\x00\x0e\x00") + 8
    for cut in range(begin, begin + 12):  # eleven characters and the null that makes their number even
        (tmp_path / "cut.dcm").write_bytes(whole[:cut])
        with pytest.raises(Invalid):
            read(tmp_path / "cut.dcm")


@settings(max_examples=150, deadline=None)
@given(st.integers(132, 700), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, damage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(write(folder / "x", image()).read_bytes())
    content[at : at + len(damage)] = damage
    (folder / "x").write_bytes(content)
    try:
        header = read_header(folder / "x", "x")
    except Invalid:
        return
    assert header is None or header.length_bytes == len(content)


def test_sequences_nested_without_end_are_refused_or_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "x", image())
    item = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    content = path.read_bytes()
    study = content.index(b"\x20\x00\x0d\x00UI")
    path.write_bytes(content[:study] + item * 20_000 + content[study:])
    with pytest.raises(Invalid):
        read(path)


def grouped(tmp_path: Path, *datasets: Dataset) -> Grouping:
    return group_series(read(write(tmp_path / f"{n}", dataset)) for n, dataset in enumerate(datasets))


def test_instances_are_grouped_by_series_and_ordered_by_number(tmp_path: Path) -> None:
    grouping = grouped(
        tmp_path,
        image(SOPInstanceUID="1.1", InstanceNumber=2),
        image(SOPInstanceUID="1.2", InstanceNumber=1),
        image(SOPInstanceUID="1.3", InstanceNumber=None),
        image(SOPInstanceUID="1.4", SeriesInstanceUID="1.9"),
    )
    assert [(one.series_uid, [i.sop_instance_uid for i in one.instances]) for one in grouping.series] == [
        ("1.2.2", ["1.2", "1.1", "1.3"]),
        ("1.9", ["1.4"]),
    ]
    assert grouping.series[0].source == "0"


def test_the_same_instance_counts_once(tmp_path: Path) -> None:
    grouping = grouped(tmp_path, image(), image())
    assert [len(one.instances) for one in grouping.series] == [1]
    assert [one.source for one in grouping.repeated] == ["1"]
    assert grouping.refused == ()


def test_an_instance_uid_with_other_bytes_is_refused(tmp_path: Path) -> None:
    grouping = grouped(tmp_path, image(), image(BodyPartExamined="HEAD"))
    assert [(one.source, error.reason) for one, error in grouping.refused] == [("1", "instance-twice")]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("StudyInstanceUID", "9.9"), ("PatientID", "P-2"), ("Modality", "MR"), ("IssuerOfPatientID", "H2")],
)
def test_a_series_of_two_studies_or_patients_is_refused(tmp_path: Path, keyword: str, value: str) -> None:
    grouping = grouped(tmp_path, image(), image(**{"SOPInstanceUID": "9", keyword: value}))
    assert [(one.source, error.reason) for one, error in grouping.refused] == [("1", "series-twice")]


def test_no_patient_data_shows_in_a_repr(tmp_path: Path) -> None:
    grouping = grouped(tmp_path, image())
    for secret in ("P-1", "Ceshi", "测试", "19900102"):
        assert secret not in repr(grouping)


def test_a_header_of_elements_without_end_is_refused_soon() -> None:
    whole = dicom.seeds()[0]
    start = whole.index(b"\x08\x00\x05\x00")
    flood = b"\x08\x00\x05\x00CS\x02\x00  " * (MAX_READS + 1)
    for body in (whole[:start] + flood + whole[start:], dicom.bomb(1 << 20)):
        with pytest.raises(Invalid, match=r"too many|needs its UIDs"):
            parse_header(body, "s", len(body))
