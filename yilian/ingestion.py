"""Feeding files and folders to a node: every FHIR, DICOM, CDA and PDF file below the paths, each outcome accounted for.

Interrupted runs are simply run again: the node knows each input by its identity and changes nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import Invalid
from domain.identifiers import identifier
from node_service.client import wire
from node_service.client.node_client import StaffClient
from node_service.client.resumable_client import LargeUpload
from node_service.sources.walk import (
    BundleSource,
    CdaSource,
    Item,
    NdjsonSource,
    PdfSource,
    Refused,
    ResourceSource,
    SeriesSource,
    Skipped,
    read_file,
    read_sources,
    walk,
)

FHIR_JSON: Final = "application/fhir+json"
FHIR_NDJSON: Final = "application/fhir+ndjson"
_FIRST_TYPES: Final = (
    "Organization", "Location", "Practitioner", "PractitionerRole", "Medication", "Device", "Patient",
    "RelatedPerson", "Encounter",
)  # fmt: skip
"""Single resources of these types go in first, so that references of others to them resolve."""

LARGE_BYTES: Final = 32 << 20
"""Larger instances are sent so that an interruption costs little."""

Progress = Callable[[str], None]
LargeProgress = Callable[[str, int, int], None]
"""Told of a large file its name, the bytes that are there, and all of them."""
Random = Callable[[int], bytes]


@dataclass(slots=True)
class Summary:
    """What became of every file.

    Attributes:
        stored: record versions that are durable now.
        unchanged: inputs that were there already, equal.
        skipped: not a kind that is taken.
        refused: a kind that is taken, but invalid.
        quality: codes of the data-quality report with their counts.
        runs_with_findings: file and run of each report that found something.
    """

    stored: list[wire.RecordRef] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[wire.InputIssue] = field(default_factory=list)
    refused: list[wire.InputIssue] = field(default_factory=list)
    resources_by_type: Counter[str] = field(default_factory=Counter)
    dicom_instances: int = 0
    quality: Counter[str] = field(default_factory=Counter)
    runs_with_findings: list[tuple[str, str]] = field(default_factory=list)

    def add(self, report: wire.IngestReport, source: str) -> None:
        """Account for a node's report on one file."""
        self.stored.extend(report.stored)
        self.unchanged += report.unchanged
        self.skipped.extend(issue.model_copy(update={"source": source}) for issue in report.skipped)
        self.refused.extend(issue.model_copy(update={"source": source}) for issue in report.refused)
        self.resources_by_type.update(report.resources_by_type)
        self.dicom_instances += report.dicom_instances
        self.quality.update(report.quality)
        if report.quality:
            self.runs_with_findings.append((source, report.run))


@dataclass(frozen=True, slots=True)
class Feed:
    """A node to feed.

    Attributes:
        system: name of the sending system; None: the name of the folder in which a file lies, however the path to it
            was written, so that the same file is the same input the next time.
        patient: whose input it is, where the input does not say, or says it otherwise.
        large: told how far a large file is.
    """

    client: StaffClient = field(repr=False)
    random: Random
    system: str | None = None
    patient: str | None = None
    large: LargeProgress = field(default=lambda _name, _sent, _length: None, repr=False)

    def files(self, paths: Sequence[Path], progress: Progress, *, series: bool = True) -> Summary:
        """Feed everything below the paths in path order, single resources last; ``series``: DICOM too.

        Raises:
            Invalid: a path does not exist.
            Unavailable: the node is down; run it again.
        """
        summary = Summary()
        for item, path in _ordered(paths):
            if series or not isinstance(item, SeriesSource):
                self.item(item, path, summary)
                progress(item.source)
        return summary

    @staticmethod
    def series(paths: Sequence[Path]) -> Iterator[tuple[SeriesSource, Path]]:
        """The DICOM series below the paths, in the order of their first file."""
        items = (item for item in read_sources(paths) if isinstance(item, SeriesSource))
        return ((item, item.series.instances[0].path) for item in items)

    def item(self, item: Item, path: Path, summary: Summary) -> None:
        """Feed one item, read from a path; what the node refuses is accounted for."""
        try:
            match item:
                case Skipped():
                    summary.skipped.append(wire.InputIssue(source=item.source, reason=item.reason))
                case Refused():
                    issue = wire.InputIssue(source=item.source, place=item.place, reason=item.reason)
                    summary.refused.append(issue)
                case BundleSource():
                    summary.add(self._fhir(item.encoded, path, FHIR_JSON), item.source)
                case ResourceSource():
                    summary.add(self._fhir(item.resource.encoded, path, FHIR_JSON), item.source)
                case NdjsonSource():
                    summary.add(self._fhir(path.read_bytes(), path, FHIR_NDJSON), item.source)
                case CdaSource():
                    report = self.client.ingest_cda(item.encoded, source=self._system(path), patient=self.patient)
                    summary.add(report, item.source)
                case PdfSource():
                    summary.add(self._pdf(item, path), item.source)
                case SeriesSource():
                    summary.add(self._series(item), item.source)
        except Invalid as error:
            summary.refused.append(wire.InputIssue(source=item.source, place=error.place, reason=error.detail))

    def _fhir(self, content: bytes, path: Path, media_type: str) -> wire.IngestReport:
        return self.client.ingest_fhir(content, source=self._system(path), patient=self.patient, media_type=media_type)

    def _pdf(self, item: PdfSource, path: Path) -> wire.IngestReport:
        """Known by its name in its folder.

        Raises:
            Invalid: nobody said whose it is.
        """
        if self.patient is None:
            raise Invalid("a PDF does not say whose it is: name the patient", reason="no-patient")
        return self.client.ingest_pdf(
            item.encoded, source=self._system(path), document=path.name, patient=self.patient, title=path.stem
        )

    def _series(self, item: SeriesSource) -> wire.IngestReport:
        upload = identifier(self.random(16))
        for instance in item.series.instances:
            self._instance(instance.path, upload)
        return self.client.close_dicom(upload=upload)

    def _instance(self, path: Path, upload: str) -> None:
        source = self._system(path)
        if path.stat().st_size > LARGE_BYTES:
            large = LargeUpload(self.client, source, upload, self.patient)
            large.send(path, lambda sent, length: self.large(path.name, sent, length))
        else:
            self.client.ingest_dicom(path.read_bytes(), source=source, upload=upload, patient=self.patient)

    def _system(self, path: Path) -> str:
        return self.system or path.resolve().parent.name or "files"


def _ordered(paths: Sequence[Path]) -> Iterator[tuple[Item, Path]]:
    """In path order, but single resources last and among them the types first that others refer to."""
    files = {file.source: file for file in walk(paths)}
    singles: list[tuple[int, str]] = []
    for item in read_sources(paths):
        if isinstance(item, ResourceSource):
            singles.append((_rank(item.resource.resource_type), item.source))
        else:
            yield item, files[item.source].path
    for _, source in sorted(singles):
        yield read_file(files[source]), files[source].path


def _rank(resource_type: str) -> int:
    return _FIRST_TYPES.index(resource_type) if resource_type in _FIRST_TYPES else len(_FIRST_TYPES)
