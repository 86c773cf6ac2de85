"""Made-up histories are valid, whole, clearly synthetic and repeatable."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from node_service.fhir.bundle import Entry, split_bundle
from node_service.fhir.bundle_index import index_bundle
from node_service.fhir.clinical_date import clinical_date
from node_service.fhir.compartment import CompartmentKind, compartment
from node_service.fhir.identifiers import IdentifierType, identifiers
from node_service.fhir.quality import findings
from node_service.fhir.resource import Resource
from node_service.fhir.validation import validate
from yilian.synthetic.history import LAST_DAY, write_histories
from yilian.synthetic.people import LANGUAGES, Language, people


def resources(entries: tuple[Entry, ...]) -> list[Resource]:
    return [entry.resource for entry in entries if entry.resource is not None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_resource_is_valid_marked_and_the_patients(tmp_path: Path, language: Language) -> None:
    files = write_histories(tmp_path, 7, 6, language)
    assert len(files) == 6
    seen: set[str] = set()
    for file in files:
        parts = split_bundle(file.read_bytes())
        assert parts.bundle_type == "transaction"
        index = index_bundle(parts.entries)
        for one in resources(parts.entries):
            seen.add(one.resource_type)
            assert validate(one) == ()
            assert b'"HTEST"' in one.encoded
            assert not list(findings(one.value, place="", now=datetime(2026, 1, 1, tzinfo=UTC)))
            assert all(index.entry_of(reference.text) is not None for reference in one.references)
            directory = one.resource_type in ("Organization", "Practitioner")
            kind = compartment(one.value, index.type_of).kind
            assert kind is (CompartmentKind.DIRECTORY if directory else CompartmentKind.PATIENT)
    assert seen == {
        "Organization", "Practitioner", "Patient", "Encounter", "Condition", "Observation", "DiagnosticReport",
        "MedicationRequest", "AllergyIntolerance", "Immunization", "Procedure",
    }  # fmt: skip


def test_histories_end_before_their_last_day(tmp_path: Path) -> None:
    (file,) = write_histories(tmp_path, 3, 1, "zh")
    dates = [clinical_date(one.value) for one in resources(split_bundle(file.read_bytes()).entries)]
    latest = max(date.before for date in dates if date is not None and date.before is not None)
    assert latest.date() <= LAST_DAY


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    first, again, other = (
        [file.read_bytes() for file in write_histories(tmp_path / name, seed, 2, "zh")]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_are_clearly_synthetic(language: Language) -> None:
    for person in people(5, 40, language):
        assert person.family[0] in ("测试", "Synthetic")
        assert person.identity_number.startswith("999999")
        assert person.record_number.startswith("SYN")


def test_people_have_numbers_of_their_own_and_stay_when_more_are_made() -> None:
    many = people(5, 40, "zh")
    assert many[:3] == people(5, 3, "zh")
    assert len({person.identity_number for person in many}) == 40
    assert len({person.record_number for person in many}) == 40


def test_a_chinese_patient_has_typed_identifiers_whose_check_digit_fits(tmp_path: Path) -> None:
    (file,) = write_histories(tmp_path, 3, 1, "zh")
    patient = next(one for one in resources(split_bundle(file.read_bytes()).entries) if one.resource_type == "Patient")
    found = {one.type: one for one in identifiers(patient.value)}
    assert set(found) == {
        IdentifierType.MEDICAL_RECORD,
        IdentifierType.RESIDENT_IDENTITY,
        IdentifierType.HEALTH_INSURANCE,
        IdentifierType.VISIT_CARD,
    }
    assert found[IdentifierType.RESIDENT_IDENTITY].check_digit_fits is True
