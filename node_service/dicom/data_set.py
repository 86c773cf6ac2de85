"""Reading a DICOM header with pydicom: bounded, quiet, and without its pixels."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage
from pydicom.valuerep import PersonName

from domain.errors import Invalid
from node_service.dicom.header import MAX_READS, MAX_TEXT_CHARS, DicomPatient, Header

_MAX_UID_CHARS: Final = 64
_META_GROUP: Final = 0x0002
_LAST_GROUP: Final = 0x0020
"""Nothing of what is read stands behind it; what does can be long: the groups of every frame, waveforms, pixels."""

_KEYWORDS: Final = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientSex", "PatientBirthDate", "StudyDate", "SeriesDate",
    "AcquisitionDate", "ContentDate", "BodyPartExamined", "InstanceNumber",
]  # fmt: skip

_TAGS: Final[list[BaseTag | int]] = [Tag(keyword) for keyword in _KEYWORDS]


def header_of(head: bytes, source: str, length_bytes: int, path: Path, max_header_bytes: int) -> Header | None:
    """The header of the file that begins so; ``None`` for a DICOMDIR.

    Raises:
        Invalid: it cannot be read, or lacks the UIDs that every composite instance has.
    """
    with _quiet():
        meta, dataset = _read(head, max_header_bytes)
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


class _Counted(BytesIO):
    """Bytes that may be asked for only so often: a million empty items of a sequence cost pydicom a minute and 1 GiB.

    Its ``stop_when`` counts no such items, and ``specific_tags`` passes over a sequence of undefined length only after
    an object was made of each. A value of which only a part is there ends the reading: pydicom would take it for whole.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as ever, until it was too often, or the file ends within what is asked for."""
        self._left -= 1
        if self._left < 0:
            raise OSError
        found = super().read(size)
        if size is not None and 0 < len(found) < size:
            raise OSError
        return found

    def refusal(self) -> Invalid:
        """Why reading ended here."""
        place = f"byte {self.tell()}"
        if self._left < 0:
            return Invalid("the DICOM header has too many elements or items", reason="too-many", place=place)
        return Invalid("the DICOM header cannot be read", reason="not-dicom", place=place)


def _read(head: bytes, max_header_bytes: int) -> tuple[FileMetaDataset, Dataset]:
    stream = _Counted(head)
    try:
        meta = _read_meta(stream)
        if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return meta, Dataset()
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            stream = _Counted(_inflated(stream.read(), max_header_bytes))
            stop = _beyond(_LAST_GROUP)
            return meta, read_dataset(stream, False, True, stop_when=stop, specific_tags=_TAGS)
        stream.seek(0)
        dataset = read_partial(stream, stop_when=_beyond(_LAST_GROUP), force=True, specific_tags=_TAGS)
    except Exception:  # noqa: BLE001 - pydicom, zlib and struct have no common base, some quote values
        raise stream.refusal() from None
    return dataset.file_meta, dataset


def _read_meta(stream: BinaryIO) -> FileMetaDataset:
    """File meta information (group 0002), which is always explicit VR little endian."""
    read_preamble(stream, force=True)
    start = stream.tell()
    elements = read_dataset(stream, False, True, stop_when=_beyond(_META_GROUP))
    if not elements:
        stream.seek(start)
    return FileMetaDataset(elements)


def _inflated(deflated: bytes, max_bytes: int) -> bytes:
    """Inflate no more than the bound: the file may be a bomb (PS3.5 A.5)."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, max_bytes)


def _beyond(last_group: int) -> Callable[[BaseTag, str | None, int], bool]:
    """Where to stop; elements come in the order of their tags (PS3.5 section 7.1)."""

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
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
