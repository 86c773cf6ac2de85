"""Real Synthea Bundles: in, anchored, unchanged when they come again, and back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from domain.identifiers import encode_bytes
from domain.paths import verify_leaf
from node_service.database.models import AnchoredHead, BundleSkeleton, Outbox, Person, Record, RecordVersion
from node_service.records.bundles import reassemble_bundle
from node_service.records.evidence import leaves_and_paths
from node_service.records.ingest import ingest_fhir
from tests.unit.node_service.records.hospital import MSP_ID, Hospital, start_hospital

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def bundles(shared_data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((shared_data / "fhir" / "synthea").rglob("*.json"))]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, bundles: list[bytes]) -> Iterator[Hospital]:
    """A hospital that holds every Bundle, anchored."""
    hospital = start_hospital(tmp_path_factory.mktemp("synthea"))
    for body in bundles:
        report = ingest_fhir(hospital.node, body, "application/fhir+json", "synthea")
        assert not report.refused
        assert not report.skipped
        assert report.unchanged == 0
    hospital.settle()
    yield hospital
    hospital.close()


def test_every_entry_becomes_a_record_and_every_patient_one_person(full: Hospital, bundles: list[bytes]) -> None:
    with full.node.database.reading() as session:
        assert session.execute(select(func.count()).select_from(Record)).scalar_one() == 2319
        assert session.execute(select(func.count()).select_from(Person)).scalar_one() == len(bundles) == 14
        rows = session.execute(select(Record.kind, func.count()).group_by(Record.kind))
        kinds = {row[0]: row[1] for row in rows}
    assert kinds == {"patient": 2279, "directory": 40}


def test_what_comes_again_changes_nothing(full: Hospital, bundles: list[bytes]) -> None:
    report = ingest_fhir(full.node, bundles[0], "application/fhir+json", "synthea")
    assert (report.stored, report.unchanged) == ([], 168)
    with full.node.database.reading() as session:
        assert session.execute(select(func.max(RecordVersion.version))).scalar_one() == 1


def test_bundles_reassemble_to_the_received_bytes(full: Hospital, bundles: list[bytes]) -> None:
    with full.node.database.reading() as session:
        ids = session.scalars(select(BundleSkeleton.id)).all()
    assert sorted(reassemble_bundle(full.node, one) for one in ids) == sorted(bundles)


def test_every_record_is_covered_by_an_anchored_head(full: Hospital) -> None:
    with full.node.database.reading() as session:
        versions = [(row[0], row[1]) for row in session.execute(select(RecordVersion.record, RecordVersion.version))]
        assert session.execute(select(func.count()).select_from(Outbox)).scalar_one() == 0
        for leaf, path in leaves_and_paths(full.node, session, versions).values():
            assert path is not None
            head = session.get(AnchoredHead, (MSP_ID, path.incarnation, "records", path.size))
            assert head is not None
            verify_leaf(leaf, path, encode_bytes(head.root))
