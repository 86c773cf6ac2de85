"""Series of instances from the headers of a folder: one series is one record (records-and-keys.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import Invalid
from node_service.dicom.header import DicomPatient, Header

CATEGORY: Final = "imaging"


@dataclass(frozen=True, slots=True)
class Instance:
    """One file of a series."""

    path: Path = field(repr=False)
    source: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Series:
    """One series: what its headers agree on, and its instances by number, then UID."""

    study_uid: str
    series_uid: str
    modality: str
    body_part: str
    series_date: str
    patient: DicomPatient
    instances: tuple[Instance, ...]

    @property
    def source(self) -> str:
        """The name of the first file by path."""
        return min(instance.source for instance in self.instances)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Series in the order of their first file; files left out because the same instance came before; refused files."""

    series: tuple[Series, ...]
    repeated: tuple[Header, ...]
    refused: tuple[tuple[Header, Invalid], ...]


@dataclass(slots=True)
class _Draft:
    first: Header
    headers: list[Header]


def group_series(headers: Iterable[Header]) -> Grouping:
    """Group headers by series.

    An instance UID that comes again with the same bytes counts once. With other bytes it is refused, and so is a
    file whose series was begun by another study or patient: nobody can tell which of them is right.
    """
    drafts: dict[str, _Draft] = {}
    seen: dict[str, Header] = {}
    repeated: list[Header] = []
    refused: list[tuple[Header, Invalid]] = []
    for header in headers:
        draft = drafts.get(header.series_uid)
        earlier = seen.get(header.sop_instance_uid)
        if earlier is not None:
            if _same_bytes(earlier.path, header.path):
                repeated.append(header)
            else:
                refused.append((header, _other_bytes()))
        elif draft is not None and not _same_series(draft.first, header):
            refused.append((header, _other_series()))
        else:
            seen[header.sop_instance_uid] = header
            drafts.setdefault(header.series_uid, _Draft(header, [])).headers.append(header)
    return Grouping(tuple(_series(draft) for draft in drafts.values()), tuple(repeated), tuple(refused))


def _series(draft: _Draft) -> Series:
    first = draft.first
    instances = sorted(map(_instance, draft.headers), key=_order)
    return Series(
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        modality=first.modality,
        body_part=first.body_part,
        series_date=first.series_date,
        patient=first.patient,
        instances=tuple(instances),
    )


def _instance(header: Header) -> Instance:
    return Instance(
        path=header.path,
        source=header.source,
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        instance_number=header.instance_number,
        length_bytes=header.length_bytes,
    )


def _order(instance: Instance) -> tuple[bool, int, str]:
    number = instance.instance_number
    return number is None, number or 0, instance.sop_instance_uid


def _same_series(first: Header, header: Header) -> bool:
    return (first.study_uid, first.patient.patient_id, first.patient.issuer, first.modality) == (
        header.study_uid,
        header.patient.patient_id,
        header.patient.issuer,
        header.modality,
    )


def _same_bytes(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and _digest(one) == _digest(other)


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _other_bytes() -> Invalid:
    return Invalid(
        "another file with this SOP Instance UID has other bytes", reason="instance-twice", place="SOPInstanceUID"
    )


def _other_series() -> Invalid:
    return Invalid(
        "another study, patient or modality has this Series Instance UID", reason="series-twice",
        place="SeriesInstanceUID",
    )  # fmt: skip
