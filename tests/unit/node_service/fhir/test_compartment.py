"""Whose a record is, and its ledger category."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain.vocabulary import CATEGORIES
from node_service.fhir.bundle import split_bundle
from node_service.fhir.bundle_index import index_bundle
from node_service.fhir.category import category
from node_service.fhir.compartment import Compartment, CompartmentKind, compartment
from node_service.fhir.types import R4_TYPES

P1, P2 = {"reference": "Patient/1"}, {"reference": "Patient/2"}


def of(resource_type: str, **elements: Any) -> Compartment:
    return compartment({"resourceType": resource_type, **elements})


@pytest.mark.parametrize(
    ("resource_type", "elements"),
    [
        ("Observation", {"subject": P1}),
        ("Observation", {"subject": P1, "performer": [P2]}),
        ("Observation", {"subject": {"reference": "https://fhir.example/r4/Patient/1"}}),
        ("AllergyIntolerance", {"patient": {"reference": "urn:uuid:1"}}),
        ("Coverage", {"beneficiary": P1, "subscriber": P2}),
        ("Task", {"for": P1}),
        ("Appointment", {"participant": [{"actor": P1}, {"actor": {"reference": "Practitioner/1"}}]}),
        ("Group", {"member": [{"entity": P1}]}),
        ("ResearchSubject", {"individual": P1}),
        ("SupplyRequest", {"deliverTo": P1}),
        ("EnrollmentRequest", {"candidate": P1}),
        ("AuditEvent", {"agent": [{"who": {"reference": "Practitioner/1"}}], "entity": [{"what": P1}]}),
        ("Provenance", {"target": [P1, {"reference": "Observation/1"}]}),
        ("List", {"subject": P1, "entry": [{"item": {"reference": "Observation/1"}}]}),
        ("Device", {"patient": P1}),
        ("Binary", {"securityContext": P1}),
        ("Account", {"subject": [P1, {"reference": "Patient/1/_history/2"}]}),
        ("Observation", {"subject": {"type": "Patient", "identifier": {"system": "s", "value": "v"}}}),
        ("Observation", {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}),
    ],
)
def test_a_resource_about_one_patient_is_the_patients(resource_type: str, elements: dict[str, Any]) -> None:
    found = of(resource_type, **elements)
    assert found.kind is CompartmentKind.PATIENT
    assert found.patient is not None


@pytest.mark.parametrize(
    ("resource_type", "elements", "kind"),
    [
        ("Patient", {"link": [{"other": P2}]}, CompartmentKind.PATIENT),
        ("Group", {"member": [{"entity": P1}, {"entity": P2}]}, CompartmentKind.INSTITUTION),
        ("List", {"entry": [{"item": P1}, {"item": P2}]}, CompartmentKind.INSTITUTION),
        ("AuditEvent", {"agent": [{"who": P1}], "entity": [{"what": P2}]}, CompartmentKind.INSTITUTION),
        ("Observation", {"subject": {"reference": "Group/1"}}, CompartmentKind.INSTITUTION),
        ("Observation", {"subject": {"reference": "urn:uuid:unknown"}}, CompartmentKind.INSTITUTION),
        ("Observation", {"subject": {"reference": "#g"}, "contained": [{"resourceType": "Group", "id": "g"}]},
         CompartmentKind.INSTITUTION),
        ("Observation", {"subject": {"display": "somebody"}}, CompartmentKind.INSTITUTION),
        ("Observation", {"subject": "wrong"}, CompartmentKind.INSTITUTION),
        ("Questionnaire", {}, CompartmentKind.INSTITUTION),
        ("Library", {}, CompartmentKind.INSTITUTION),
        ("Practitioner", {}, CompartmentKind.DIRECTORY),
        ("Device", {"owner": {"reference": "Organization/1"}}, CompartmentKind.DIRECTORY),
        ("Medication", {}, CompartmentKind.DIRECTORY),
        ("Provenance", {"target": [{"reference": "Observation/1"}]}, CompartmentKind.FOLLOWS),
        ("Binary", {"securityContext": {"reference": "DocumentReference/1"}}, CompartmentKind.FOLLOWS),
        ("Task", {"focus": {"reference": "ServiceRequest/1"}}, CompartmentKind.FOLLOWS),
        ("Binary", {}, CompartmentKind.INSTITUTION),
    ],
)  # fmt: skip
def test_other_resources_are_no_patients(resource_type: str, elements: dict[str, Any], kind: CompartmentKind) -> None:
    found = of(resource_type, **elements)
    assert found.kind is kind
    assert found.patient is None


def test_what_a_resource_follows_is_named() -> None:
    assert of("Provenance", target=[{"reference": "Observation/1"}]).follows == ("Observation/1",)


def test_a_patient_named_by_identifier_keeps_the_identifier() -> None:
    found = of("Claim", patient={"identifier": {"system": "s", "value": "v"}})
    assert found.patient is not None
    assert found.patient.identifier == {"system": "s", "value": "v"}


def test_every_clinical_resource_of_a_synthea_bundle_is_its_patients(shared_data: Path) -> None:
    for file in sorted((shared_data / "fhir" / "synthea").glob("*.json"))[:4]:
        entries = split_bundle(file.read_bytes()).entries
        index = index_bundle(entries)
        for entry in entries:
            assert entry.resource is not None
            found = compartment(entry.resource.value, index.type_of)
            directory = entry.resource.resource_type in ("Organization", "Practitioner")
            assert found.kind is (CompartmentKind.DIRECTORY if directory else CompartmentKind.PATIENT)
            if found.patient is not None:
                assert index.entry_of(found.patient.reference) == 0


def test_every_type_has_a_category_of_the_closed_list() -> None:
    assert {category({"resourceType": name}) for name in R4_TYPES} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"resourceType": "Condition"}, "problem"),
        ({"resourceType": "AllergyIntolerance"}, "allergy"),
        ({"resourceType": "MedicationRequest"}, "medication"),
        ({"resourceType": "Observation"}, "result"),
        ({"resourceType": "Observation", "category": [{"coding": [{"code": "imaging"}]}]}, "imaging"),
        ({"resourceType": "Observation", "category": [{"coding": [{"code": "laboratory"}]}]}, "result"),
        ({"resourceType": "DiagnosticReport", "category": [{"coding": [{"code": "RAD"}]}]}, "imaging"),
        ({"resourceType": "DiagnosticReport", "category": "wrong"}, "result"),
        ({"resourceType": "ImagingStudy"}, "imaging"),
        ({"resourceType": "DocumentReference"}, "document"),
        ({"resourceType": "Encounter"}, "encounter"),
        ({"resourceType": "Immunization"}, "immunization"),
        ({"resourceType": "Claim"}, "billing"),
        ({"resourceType": "Patient"}, "administrative"),
        ({"resourceType": "Practitioner"}, "directory"),
        ({"resourceType": "Device"}, "directory"),
        ({"resourceType": "Device", "patient": P1}, "encounter"),
        ({"resourceType": "StructureDefinition"}, "administrative"),
    ],
)
def test_a_resource_has_the_category_of_its_type(value: dict[str, Any], expected: str) -> None:
    assert category(value) == expected
