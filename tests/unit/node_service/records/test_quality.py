"""The data-quality report of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain.errors import Invalid
from domain.identifiers import identifier
from node_service.records import quality
from node_service.records.ingest import ingest_fhir
from tests.unit.node_service.records.hospital import start_hospital

FHIR_JSON = "application/fhir+json"


def test_findings_have_codes_and_places_and_no_values_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = start_hospital(tmp_path)
    people = [{"resource": {"resourceType": "Patient", "id": f"p{n}", "name": [{"family": "测试"}]}} for n in range(3)]
    bundle = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": people}).encode()
    report = ingest_fhir(hospital.node, bundle, FHIR_JSON, "clinic")
    assert report.quality == {"birth-date-missing": 3, "gender-missing": 3}

    monkeypatch.setattr(quality, "PAGE_ENTRIES", 4)
    first = quality.quality_of_run(hospital.node, report.run)
    assert first.next is not None
    rest = quality.quality_of_run(hospital.node, report.run, first.next)
    assert rest.next is None
    found = [*first.items, *rest.items]
    assert sorted({entry.code for entry in found}) == ["birth-date-missing", "gender-missing"]
    assert len(found) == 6
    assert all(entry.place.startswith("entry[") for entry in found)
    hospital.close()


def test_an_unknown_run_has_nothing_and_no_run_is_refused(tmp_path: Path) -> None:
    hospital = start_hospital(tmp_path)
    assert quality.quality_of_run(hospital.node, identifier(bytes(16))).items == []
    with pytest.raises(Invalid):
        quality.quality_of_run(hospital.node, "../..")
    hospital.close()
