"""Exporting one's own data: every record opened with the own wraps into a folder that other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Invalid, Tampered
from domain.identifiers import check_identifier
from node_service.client import wire
from offchain.envelope.composite import Manifest
from patient_wallet.opening import OpenedRecord
from patient_wallet.wallet import Wallet

_SUFFIXES: Final = {
    "application/fhir+json": ".json",
    "application/dicom": ".dcm",
    "application/pdf": ".pdf",
    "application/xml": ".xml",
}
_RESOURCE_TYPE: Final = re.compile(r"[A-Za-z]{1,64}")
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: records, files, and records whose wraps the hospital had not made yet."""

    records: int
    files: int
    waiting: tuple[str, ...]


def export_records(wallet: Wallet, msp_id: str, folder: Path, progress: Progress | None = None) -> Exported:
    """Write every record of a hospital: ``<type>/<record>.v<version>.json``; a series is a folder of its members.

    ``index.json`` comes last and lists what is there. The content is in the clear: it is for the patient alone.

    Raises:
        Invalid: the folder is not empty.
        Tampered: a record does not fit its leaf or has an impossible name; what was written before it is genuine.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise Invalid(f"{folder} is not empty; choose another folder", reason="not-empty")
    index: list[dict[str, object]] = []
    waiting: list[str] = []
    for number, entry in enumerate(wallet.records(msp_id), start=1):
        try:
            files = list(_write(wallet, msp_id, folder, entry))
            index.append({"record": entry.record, "version": entry.version, "files": files})
        except Conflict:
            waiting.append(entry.record)
        if progress is not None:
            progress(number)
    (folder / "index.json").write_text(json.dumps({"hospital": msp_id, "records": index}, indent=1))
    written = sum(len(item["files"]) for item in index if isinstance(item["files"], list))
    return Exported(len(index), written, tuple(waiting))


def _write(wallet: Wallet, msp_id: str, folder: Path, entry: wire.RecordEntry) -> Iterator[str]:
    _check_names(entry)
    opened = wallet.open(msp_id, entry.record)
    place = folder / entry.resource_type
    place.mkdir(exist_ok=True, mode=0o700)
    name = f"{entry.record}.v{entry.version}"
    if opened.manifest is not None:
        yield from _write_members(wallet, msp_id, place / name, opened.manifest)
    else:
        yield _write_file(place / (name + _SUFFIXES.get(opened.media_type, ".bin")), _content(opened))


def _check_names(entry: wire.RecordEntry) -> None:
    """What the hospital calls a record becomes a path here: ``..``, ``/`` and the like would lead out of the folder."""
    try:
        check_identifier(entry.record, "record")
        if not _RESOURCE_TYPE.fullmatch(entry.resource_type):
            raise Invalid("the name of a FHIR type is expected", place="resource_type")
    except Invalid as error:
        raise Tampered("the hospital gives a record a name that is none", reason="record-name") from error


def _write_members(wallet: Wallet, msp_id: str, place: Path, manifest: Manifest) -> Iterator[str]:
    place.mkdir(mode=0o700)
    for member in manifest.members:
        plain = wallet.open_member(msp_id, member)
        suffix = _SUFFIXES.get(plain.description.content_type, ".bin")
        yield _write_file(place / f"{member.object_id}{suffix}", plain.content)


def _write_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o600)
    return path.name


def _content(opened: OpenedRecord) -> bytes:
    assert opened.content is not None  # noqa: S101 - only composite records have none
    return opened.content
