"""Walk files and folders, tell by content what each file is, and read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import Invalid
from node_service.cda import header_xml
from node_service.cda.document import parse_document
from node_service.dicom.header import Header, has_prefix, may_be_dicom, read_header
from node_service.dicom.series import Grouping, Series, group_series
from node_service.documents import pdf_file
from node_service.documents.pdf_file import read_pdf
from node_service.fhir.bundle import BundleParts, split_bundle
from node_service.fhir.json_text import MAX_BYTES, Cursor, decode
from node_service.fhir.resource import Resource, parse_resource

NOT_TAKEN: Final = "not a kind of file that is taken"
_HEAD_BYTES: Final = 1024
_NDJSON_SUFFIXES: Final = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and its name for reports: its path relative to what was asked for, with forward slashes."""

    path: Path = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class BundleSource:
    """A FHIR Bundle with the bytes that were received."""

    source: str
    encoded: bytes = field(repr=False)
    parts: BundleParts


@dataclass(frozen=True, slots=True)
class ResourceSource:
    """A single FHIR resource."""

    source: str
    resource: Resource


@dataclass(frozen=True, slots=True)
class NdjsonSource:
    """A file of FHIR resources, one a line, to be read as a stream."""

    source: str
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class CdaSource:
    """A CDA document with its bytes."""

    source: str
    encoded: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PdfSource:
    """A PDF file with its bytes."""

    source: str
    encoded: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """A DICOM series, named by its first file."""

    source: str
    series: Series


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a kind that is not taken."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file of a kind that is taken but is invalid: place and reason, never a value."""

    source: str
    place: str
    reason: str


Item = BundleSource | ResourceSource | NdjsonSource | CdaSource | PdfSource | SeriesSource | Skipped | Refused


def walk(paths: Sequence[Path]) -> Iterator[SourceFile]:
    """All files below the paths, in path order; with several paths each name begins with its path.

    Links to folders are not followed, so that the walk ends.

    Raises:
        Invalid: a path does not exist.
    """
    for path in paths:
        prefix = f"{path.as_posix()}/" if len(paths) > 1 else ""
        if not path.exists():
            raise Invalid("there is no such file or folder", reason="not-found")
        if not path.is_dir():
            yield SourceFile(path, path.as_posix() if prefix else path.name)
            continue
        for file in sorted(_files(path)):
            yield SourceFile(file, prefix + file.relative_to(path).as_posix())


def read_sources(paths: Sequence[Path]) -> Iterator[Item]:
    """Read everything below the paths in path order; a series stands where its first file stands.

    Headers of DICOM files are read before the first item is given, because a series may be spread over folders. FHIR
    files are read when their turn comes. Resources are not validated here.
    """
    files = list(walk(paths))
    dicom: dict[str, Header | Skipped | Refused] = {}
    for file in files:
        if (found := _dicom(file)) is not None:
            dicom[file.source] = found
    grouping = group_series(found for found in dicom.values() if isinstance(found, Header))
    items = _dicom_items(dicom, grouping)
    for file in files:
        if file.source in items:
            yield items[file.source]
        elif file.source not in dicom:
            yield read_file(file)


def read_file(file: SourceFile) -> Item:
    """Read a file that is not DICOM."""
    if not _is_regular(file.path):
        return Skipped(file.source, "not a regular file")
    suffix = file.path.suffix.lower()
    if suffix in _NDJSON_SUFFIXES:
        return NdjsonSource(file.source, file.path)
    head = _head(file.path)
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if b"%PDF-" in head:
        return _bounded(file, pdf_file.MAX_DOCUMENT_BYTES, read_pdf_file)
    if suffix == ".xml" or begin == b"<":
        return _bounded(file, header_xml.MAX_DOCUMENT_BYTES, read_cda)
    if suffix == ".json" or begin == b"{":
        return _bounded(file, MAX_BYTES, read_json)
    return Skipped(file.source, NOT_TAKEN)


def read_cda(source: str, encoded: bytes) -> Item:
    """Read XML: a CDA document, a broken one (refused), or something else (skipped)."""
    try:
        parse_document(encoded)
    except Invalid as error:
        if error.reason == "not-cda" or header_xml.ROOT.encode() not in encoded:
            return Skipped(source, NOT_TAKEN)
        return Refused(source, error.place, error.detail)
    return CdaSource(source, encoded)


def read_pdf_file(source: str, encoded: bytes) -> Item:
    """Read a PDF file, or refuse what is only a part of one."""
    try:
        read_pdf(encoded)
    except Invalid as error:
        return Refused(source, error.place, error.detail)
    return PdfSource(source, encoded)


def _bounded(file: SourceFile, max_bytes: int, read: Callable[[str, bytes], Item]) -> Item:
    if file.path.stat().st_size > max_bytes:
        return Refused(file.source, "", f"the file is longer than {max_bytes} bytes")
    return read(file.source, file.path.read_bytes())


def read_json(source: str, encoded: bytes) -> Item:
    """Read JSON: a Bundle, a resource, something without ``resourceType`` (skipped), or broken FHIR (refused)."""
    try:
        resource_type = _resource_type(encoded)
        if resource_type is None:
            return Skipped(source, "JSON without resourceType")
        if resource_type == "Bundle":
            return BundleSource(source, encoded, split_bundle(encoded))
        return ResourceSource(source, parse_resource(encoded))
    except Invalid as error:
        if b'"resourceType"' in encoded:
            return Refused(source, error.place, error.detail)
        return Skipped(source, NOT_TAKEN)


def _resource_type(encoded: bytes) -> str | None:
    """The text of ``resourceType`` at the top, read no further than there; ``None`` without one."""
    cursor = Cursor.over(decode(encoded))
    if cursor.peek() != "{":
        cursor.value()
        return None
    for key in cursor.members():
        value = cursor.value()
        if key == "resourceType":
            return value if isinstance(value, str) else None
    cursor.end()
    return None


def _dicom(file: SourceFile) -> Header | Skipped | Refused | None:
    if not _is_regular(file.path):
        return None
    head = _head(file.path)
    if not may_be_dicom(head):
        return None
    try:
        header = read_header(file.path, file.source)
    except Invalid as error:
        return Refused(file.source, error.place, error.detail) if has_prefix(head) else None
    return header or Skipped(file.source, "a DICOMDIR lists images and holds none")


def _dicom_items(found: dict[str, Header | Skipped | Refused], grouping: Grouping) -> dict[str, Item]:
    items: dict[str, Item] = {source: one for source, one in found.items() if not isinstance(one, Header)}
    items |= {series.source: SeriesSource(series.source, series) for series in grouping.series}
    items |= {one.source: Skipped(one.source, "the same instance came before") for one in grouping.repeated}
    items |= {one.source: Refused(one.source, error.place, error.detail) for one, error in grouping.refused}
    return items


def _files(folder: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(folder):
        yield from (Path(directory, name) for name in names)


def _is_regular(path: Path) -> bool:
    """Whether reading it ends: not a pipe, device or broken link."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)
