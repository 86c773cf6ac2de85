"""The header of one DICOM file (PS3.10), read within bounds and without its pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAX_HEADER_BYTES: Final = 8 << 20
"""Bytes that are looked at, also after inflating. What is read stands before the groups of the frames, which can have
tens of MiB; every upload that is under way holds as much."""

MAX_READS: Final = 80_000
"""Times that bytes are asked for: one to four times for an element or an item, also within sequences."""

MAX_TEXT_CHARS: Final = 1024
_PREAMBLE_BYTES: Final = 132


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
    from node_service.dicom.data_set import header_of  # noqa: PLC0415 - imports pydicom, which few commands need

    return header_of(head[:max_header_bytes], source, length_bytes, path, max_header_bytes)
