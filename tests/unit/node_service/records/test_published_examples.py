"""HL7's own 745 examples of FHIR R4: all are stored, and read back unchanged; what is odd in them is reported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from domain.jcs import JsonValue
from node_service.client.wire import IngestReport
from node_service.database.models import BundleSkeleton, Record
from node_service.fhir.splice import apply
from node_service.fhir.types import R4_SHAPED_TYPES
from node_service.interactions.writing import create
from node_service.records.bundles import reassemble_bundle
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version, version_keys
from node_service.records.sealing import open_undo
from node_service.staff.principal import StaffPrincipal
from tests.unit.node_service.records.hospital import Hospital, start_hospital

FOLDER: Final = Path(__file__).resolve().parents[4] / ".tools" / "fhir-examples" / "package"
OF_THE_STANDARD: Final = frozenset(
    ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "OperationDefinition", "ConceptMap")
)
"""The package also holds the 4,560 definitions of which the standard itself consists."""
NOT_EXAMPLES: Final = ("package.json", "ig-r4.json")
"""The package's own descriptions; the second repeats ImplementationGuide-fhir.json."""
WITH_DELETIONS: Final = "Bundle-bundle-transaction.json"
WITH_OTHERS: Final = "Bundle-bundle-references.json"
"""Two resources of one identity: the later one, another patient's, is refused."""
NOT_WHOLE: Final = (WITH_DELETIONS, WITH_OTHERS)
"""A transaction that also deletes, reads and calls an operation: all or nothing, so nothing."""
_RESOLVED: Final = re.compile(r"[A-Z][A-Za-z]+/[a-z2-7]{26}")
FHIR_JSON: Final = "application/fhir+json"
CLINICIAN: Final = StaffPrincipal("wang", frozenset(("clinician",)), "王医生")


@dataclass
class Fed:
    """A hospital that was fed with all examples, and its reports by file."""

    hospital: Hospital
    bodies: dict[str, bytes]
    reports: dict[str, IngestReport] = field(default_factory=dict)

    @property
    def resources(self) -> list[str]:
        """The files that hold one resource."""
        return [name for name in self.bodies if not name.startswith("Bundle-")]

    @property
    def bundles(self) -> list[str]:
        """The files that hold a Bundle."""
        return [name for name in self.bodies if name.startswith("Bundle-")]

    def received(self, name: str) -> tuple[bytes, bytes]:
        """Stored bytes of a single resource, and the received bytes that its splices give."""
        reference = self.reports[name].stored[0]
        held = version_keys(self.hospital.node, [(reference.record, reference.version)], purpose="read")[0]
        stored = open_version(self.hospital.node, reference.record, reference.version).content
        return stored, apply(stored, open_undo(held.undo, held.key, held.object_id))


@pytest.fixture(scope="module")
def bodies() -> dict[str, bytes]:
    if not FOLDER.is_dir():
        reason = "the npm package hl7.fhir.r4.examples is not here: make examples"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    files = {path.name: path for path in sorted(FOLDER.glob("*.json")) if path.name not in NOT_EXAMPLES}
    return {name: path.read_bytes() for name, path in files.items() if name.partition("-")[0] not in OF_THE_STANDARD}


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory, bodies: dict[str, bytes]) -> Iterator[Fed]:
    """Single resources from one source; each Bundle is a world of its own and uses the same ids for other people."""
    hospital = start_hospital(tmp_path_factory.mktemp("examples"))
    found = Fed(hospital, bodies)
    for name in (*found.resources, *found.bundles):
        source = name if name in found.bundles else "hl7"
        found.reports[name] = ingest_fhir(hospital.node, bodies[name], FHIR_JSON, source)
    yield found
    hospital.close()


def test_the_package_holds_745_examples(bodies: dict[str, bytes]) -> None:
    assert len(bodies) == 745


def test_every_single_resource_becomes_one_record(fed: Fed) -> None:
    for name in fed.resources:
        report = fed.reports[name]
        assert ([one.resource_type for one in report.stored], report.refused, report.skipped) == (
            [name.partition("-")[0]], [], [],
        ), name  # fmt: skip


def test_every_single_resource_reads_back_unchanged(fed: Fed) -> None:
    for name in fed.resources:
        stored, received = fed.received(name)
        assert received == fed.bodies[name].removeprefix(b"\xef\xbb\xbf").strip(), name
        assert same(json.loads(stored), json.loads(received)), name
        assert json.loads(stored)["id"] == fed.reports[name].stored[0].record


def test_every_bundle_whose_resources_were_all_taken_in_reads_back_unchanged(fed: Fed) -> None:
    node = fed.hospital.node
    with node.database.reading() as session:
        ids = session.scalars(select(BundleSkeleton.id)).all()
    assert {reassemble_bundle(node, one) for one in ids} == {
        fed.bodies[name] for name in fed.bundles if name not in NOT_WHOLE
    }


def test_a_transaction_that_deletes_is_refused_whole_and_says_where(fed: Fed) -> None:
    report = fed.reports[WITH_DELETIONS]
    assert report.stored == []
    assert [one.place for one in report.refused] == [f"entry[{number}].request" for number in range(5, 10)]


def test_of_a_bundle_with_a_resource_of_another_patient_the_others_are_stored(fed: Fed) -> None:
    """Its text is not kept: it would hold the refused resource, where no erasure finds it."""
    report = fed.reports[WITH_OTHERS]
    assert len(report.stored) == 10
    assert [(one.place, one.reason.partition(":")[0]) for one in report.refused] == [
        ("entry[6].resource", "other-patient")
    ]


def test_a_bundle_stored_as_a_resource_is_an_institution_record_and_reads_back_unchanged(fed: Fed) -> None:
    node, body = fed.hospital.node, fed.bodies[WITH_DELETIONS]
    written = create(node, CLINICIAN, "Bundle", body, None)
    stored = open_version(node, written.record).content
    assert same(json.loads(stored), json.loads(body))
    held = version_keys(node, [(written.record, 1)], purpose="read")[0]
    assert apply(stored, open_undo(held.undo, held.key, held.object_id)) == body
    with node.database.reading() as session:
        record = session.get(Record, written.record)
        assert record is not None
        assert (record.kind, record.patient) == ("institution", None)


def test_what_a_bundle_holds_beside_resources_is_reported_and_nothing_else(fed: Fed) -> None:
    issues = [
        (name, issue.place, issue.reason.partition(":")[0])
        for name in fed.bundles
        if name != WITH_DELETIONS
        for issue in (*fed.reports[name].skipped, *fed.reports[name].refused)
    ]
    without_resource = [one for one in issues if one[2] == "method"]
    assert {name for name, _, _ in without_resource} == {
        "Bundle-bundle-request-medsallergies.json",
        "Bundle-bundle-request-simplesummary.json",
        "Bundle-bundle-response.json",
    }
    assert len(without_resource) == 5 + 4 + 7
    # Two servers in one Bundle call different observations by the same id: the second is nobody's next version.
    assert [one for one in issues if one[2] != "method"] == [
        ("Bundle-bundle-references.json", "entry[6].resource", "other-patient")
    ]


def test_types_that_only_r4_has_are_accepted_by_structure_and_reported_so(fed: Fed) -> None:
    reported = {
        name.partition("-")[0] for name in fed.resources if "checked-by-structure-only" in fed.reports[name].quality
    }
    assert reported == R4_SHAPED_TYPES & {name.partition("-")[0] for name in fed.resources}
    assert len(reported) == 15


def test_definitions_that_break_a_rule_are_kept_and_reported(fed: Fed) -> None:
    counts = {name: fed.reports[name].quality.get("definition-breaks-rule", 0) for name in fed.bodies}
    assert {name: count for name, count in counts.items() if count} == {
        "ImplementationGuide-fhir.json": 2,  # name, status
        "Questionnaire-qs1.json": 32,  # linkId of its items
        "Bundle-v2-valuesets.json": 4,  # codes with two spaces
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Patient-example.json", "patient"),
        ("Observation-f001.json", "patient"),
        ("Organization-f001.json", "directory"),
        ("Medication-med0301.json", "directory"),
        ("Questionnaire-3141.json", "institution"),
        ("Library-example.json", "institution"),
        ("Group-102.json", "institution"),  # several patients
        ("OperationOutcome-allok.json", "institution"),
    ],
)
def test_examples_belong_to_whom_the_design_says(fed: Fed, name: str, kind: str) -> None:
    with fed.hospital.node.database.reading() as session:
        record = session.get(Record, fed.reports[name].stored[0].record)
        assert record is not None
        assert (record.kind, record.patient is not None) == (kind, kind == "patient")


def same(stored: JsonValue, received: JsonValue) -> bool:
    """Equal but for what a server writes: id, version, time, and where references lead."""
    assert isinstance(stored, dict)
    assert isinstance(received, dict)
    return _same(_without_server_elements(stored), _without_server_elements(received))


def _without_server_elements(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    rest = {key: item for key, item in value.items() if key not in ("id", "meta")}
    meta = value.get("meta")
    if isinstance(meta, dict) and (kept := {key: meta[key] for key in meta.keys() - {"versionId", "lastUpdated"}}):
        rest["meta"] = kept
    return rest


def _same(stored: JsonValue, received: JsonValue, key: str = "") -> bool:
    if isinstance(stored, dict) and isinstance(received, dict):
        return stored.keys() == received.keys() and all(_same(stored[one], received[one], one) for one in stored)
    if isinstance(stored, list) and isinstance(received, list):
        return len(stored) == len(received) and all(map(_same, stored, received))
    if key in ("reference", "url") and isinstance(stored, str) and _RESOLVED.fullmatch(stored):
        return isinstance(received, str)
    return stored == received
