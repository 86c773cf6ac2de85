"""The header of one DICOM file (PS3.10), read within bounds and without its pixels."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage
from pydicom.valuerep import PersonName

from domain.errors import Invalid

MAX_HEADER_BYTES: Final = 64 << 20
"""Header bytes that are looked at, also after inflating: enhanced multi-frame images carry tens of MiB."""

MAX_ELEMENTS: Final = 20_000
MAX_TEXT_CHARS: Final = 1024
_PREAMBLE_BYTES: Final = 132
_MAX_UID_CHARS: Final = 64
_PIXEL_GROUP: Final = 0x7FE0

_KEYWORDS: Final = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientSex", "PatientBirthDate", "StudyDate", "SeriesDate",
    "AcquisitionDate", "ContentDate", "BodyPartExamined", "InstanceNumber",
]  # fmt: skip

_TAGS: Final[list[BaseTag | int]] = [Tag(keyword) for keyword in _KEYWORDS]


@dataclass(frozen=True, slots=True)
class DicomPatient:
    """The patient as a header names them (PS3.3 C.7.1.1), for the register of people; empty where absent.

    Attributes:
        patient_id: Patient ID (0010,0020).
        issuer: Issuer of Patient ID (0010,0021).
        name_alphabetic: component group 1 of the name, parts separated by ``^``.
        name_ideographic: component group 2, for example in Chinese characters.
        name_phonetic: component group 3.
        sex: ``M``, ``F``, ``O`` or empty.
        birth_date: ``YYYYMMDD`` or empty.
    """

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    name_alphabetic: str = field(repr=False)
    name_ideographic: str = field(repr=False)
    name_phonetic: str = field(repr=False)
    sex: str = field(repr=False)
    birth_date: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Header:
    """What one file says of itself; UIDs are present, everything else is empty where absent."""

    path: Path = field(repr=False)
    source: str
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    body_part: str
    series_date: str
    instance_number: int | None
    length_bytes: int
    patient: DicomPatient


def has_prefix(head: bytes) -> bool:
    """Whether the first 132 bytes of a file end with the ``DICM`` prefix (PS3.10 section 7.1)."""
    return head[128:_PREAMBLE_BYTES] == b"DICM"


def may_be_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file can be those of DICOM: the prefix, or a bare data set.

    A bare data set begins with an element of group 0002 or 0008 whose length or VR is plausible.
    """
    if has_prefix(head):
        return True
    if len(head) < _PREAMBLE_BYTES or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] != 0:
        return False
    explicit = head[4:6] in (b"UL", b"UI", b"CS", b"OB", b"DA", b"TM", b"SH", b"LO")
    return explicit or head[6:8] == b"\x00\x00"


def read_header(path: Path, source: str, *, max_header_bytes: int = MAX_HEADER_BYTES) -> Header | None:
    """Read the header of a DICOM file; a DICOMDIR, which holds no image of its own, gives ``None``.

    Raises:
        Invalid: it cannot be read, or lacks the UIDs that every composite instance has.
    """
    length_bytes = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(max_header_bytes)
    return parse_header(head, source, length_bytes, path=path, max_header_bytes=max_header_bytes)


def parse_header(
    head: bytes, source: str, length_bytes: int, *, path: Path = Path(), max_header_bytes: int = MAX_HEADER_BYTES
) -> Header | None:
    """Read the header from the first bytes of a file that is not on a disk; as :func:`read_header`.

    Raises:
        Invalid: it cannot be read, or lacks the UIDs that every composite instance has.
    """
    with _quiet():
        meta, dataset = _read(head[:max_header_bytes], max_header_bytes)
        if _text(meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return None
        return _header(path, source, length_bytes, meta, dataset)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence pydicom: its warnings and log lines quote values of the file, which may be a patient's."""
    logger = pydicom.config.logger
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _read(head: bytes, max_header_bytes: int) -> tuple[FileMetaDataset, Dataset]:
    stream = BytesIO(head)
    try:
        meta = _read_meta(stream)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return meta, _read_deflated(stream, max_header_bytes)
        stream.seek(0)
        dataset = read_partial(stream, stop_when=_before_pixels(), force=True, specific_tags=_TAGS)
    except Exception:  # noqa: BLE001 - pydicom, zlib and struct have no common base, some quote values
        raise Invalid("the DICOM header cannot be read", reason="not-dicom") from None
    return dataset.file_meta, dataset


def _read_meta(stream: BinaryIO) -> FileMetaDataset:
    """File meta information (group 0002), which is always explicit VR little endian."""
    read_preamble(stream, force=True)
    start = stream.tell()
    elements = read_dataset(stream, False, True, stop_when=_before_pixels(last_group=2))
    if not elements:
        stream.seek(start)
    return FileMetaDataset(elements)


def _read_deflated(stream: BinaryIO, max_header_bytes: int) -> Dataset:
    """Inflate no more than the bound: the file may be a bomb (PS3.5 A.5)."""
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), max_header_bytes)
    return read_dataset(
        BytesIO(inflated), False, True, stop_when=_before_pixels(), specific_tags=_TAGS,
    )  # fmt: skip


def _before_pixels(last_group: int = _PIXEL_GROUP - 1) -> Callable[[BaseTag, str | None, int], bool]:
    """Where to stop; a header of millions of empty elements would keep the reader busy for a minute."""
    numbers = count(1)

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if next(numbers) > MAX_ELEMENTS:
            raise Invalid(f"the DICOM header has more than {MAX_ELEMENTS} elements", reason="too-many")
        return tag.group > last_group

    return stop


def _header(path: Path, source: str, length_bytes: int, meta: FileMetaDataset, dataset: Dataset) -> Header:
    return Header(
        path=path,
        source=source,
        study_uid=_uid(dataset, "StudyInstanceUID"),
        series_uid=_uid(dataset, "SeriesInstanceUID"),
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        sop_class_uid=_uid(dataset, "SOPClassUID"),
        transfer_syntax_uid=_text(meta, "TransferSyntaxUID") or "1.2.840.10008.1.2",
        modality=_text(dataset, "Modality"),
        body_part=_text(dataset, "BodyPartExamined"),
        series_date=_date(dataset, ("SeriesDate", "AcquisitionDate", "ContentDate", "StudyDate")),
        instance_number=_number(dataset, "InstanceNumber"),
        length_bytes=length_bytes,
        patient=_patient(dataset),
    )


def _patient(dataset: Dataset) -> DicomPatient:
    name = _value(dataset, "PatientName")
    person = name if isinstance(name, PersonName) else PersonName("")
    return DicomPatient(
        patient_id=_text(dataset, "PatientID"),
        issuer=_text(dataset, "IssuerOfPatientID"),
        name_alphabetic=_bounded(person.alphabetic),
        name_ideographic=_bounded(person.ideographic),
        name_phonetic=_bounded(person.phonetic),
        sex=_text(dataset, "PatientSex"),
        birth_date=_date(dataset, ("PatientBirthDate",)),
    )


def _value(dataset: Dataset, keyword: str) -> object:
    """The first value of an element, ``None`` where it is absent, empty or cannot be decoded."""
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - a converter may raise anything on hostile bytes; an unreadable value is absent
        return None
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value[0] if value else None
    return value


def _text(dataset: Dataset, keyword: str) -> str:
    value = _value(dataset, keyword)
    return "" if value is None else _bounded(str(value))


def _bounded(text: str) -> str:
    return text.strip(" \x00")[:MAX_TEXT_CHARS]


def _uid(dataset: Dataset, keyword: str) -> str:
    uid = _text(dataset, keyword)
    if not uid or len(uid) > _MAX_UID_CHARS or not uid.replace(".", "").isdecimal() or not uid.isascii():
        raise Invalid("an image needs its UIDs (PS3.5 section 9.1)", reason="wrong-value", place=keyword)
    return uid


def _date(dataset: Dataset, keywords: Sequence[str]) -> str:
    for keyword in keywords:
        text = _text(dataset, keyword).replace(".", "")
        if len(text) == 8 and text.isascii() and text.isdecimal():
            return text
    return ""


def _number(dataset: Dataset, keyword: str) -> int | None:
    text = _text(dataset, keyword).lstrip("+")
    return int(text) if len(text) <= 12 and text.removeprefix("-").isdecimal() and text.isascii() else None
