"""Target: the header of a DICOM file from anywhere."""

from __future__ import annotations

import zlib
from functools import partial
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node_service.dicom.header import MAX_TEXT_CHARS, may_be_dicom, parse_header
from tests.fuzz.target import SECRET, Target, accepted

_SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
_MAX_HEADER_BYTES: Final = 1 << 16


def fuzz_header(data: bytes) -> None:
    """A header is refused, or it has its UIDs, and its texts have bounds; a repr tells nothing of the patient."""
    may_be_dicom(data)
    for header in accepted(partial(parse_header, data, "source", len(data), max_header_bytes=_MAX_HEADER_BYTES)):
        if header is None:
            continue
        for uid in (header.study_uid, header.series_uid, header.sop_instance_uid, header.sop_class_uid):
            assert 0 < len(uid) <= 64
            assert set(uid) <= set("0123456789.")
        patient = header.patient
        texts = (header.modality, header.body_part, header.transfer_syntax_uid, patient.patient_id, patient.issuer)
        names = (patient.name_alphabetic, patient.name_ideographic, patient.name_phonetic, patient.sex)
        assert all(len(text) <= MAX_TEXT_CHARS for text in (*texts, *names))
        assert all(len(day) in (0, 8) for day in (header.series_date, patient.birth_date))
        assert SECRET not in repr(patient)


def written(syntax: UID, *, patient_name: str = SECRET) -> bytes:
    """A small instance."""
    inner = Dataset()
    inner.PatientID = SECRET
    inner.OtherPatientIDsSequence = Sequence([Dataset()])
    image = Dataset()
    image.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    image.Modality, image.InstanceNumber = "CT", 7
    image.PatientName, image.PatientID, image.IssuerOfPatientID = f"{patient_name}^A=王^小东", SECRET, "hospital"
    image.PatientBirthDate, image.StudyDate, image.PatientSex = "19491231", "20250203", "F"
    image.OtherPatientIDsSequence = Sequence([inner, inner])
    image.Rows = image.Columns = 2
    image.BitsAllocated = 8
    image.PixelData = b"\x01\x02\x03\x04"
    image["PixelData"].VR = "OB"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    stream = BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def bomb(inflated_bytes: int) -> bytes:
    """A deflated instance of which a few bytes inflate to many (PS3.5 A.5)."""
    small = written(DeflatedExplicitVRLittleEndian)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    begin = small.index(b"\x02\x00\x10\x00UI")
    start = begin + 8 + small[begin + 6] + 256 * small[begin + 7]
    return small[:start] + deflate.compress(bytes(inflated_bytes)) + deflate.flush()


def seeds() -> list[bytes]:
    """Instances in every encoding, one without preamble, one nested, one swollen."""
    whole = [written(syntax) for syntax in _SYNTAXES]
    nested = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return [*whole, whole[0][132:], whole[0][:132] + nested * 200, bomb(4 << 20)]


TARGETS: Final = (Target("dicom-header", fuzz_header, seeds, takes_json=False),)
