"""FHIR R4 is checked with places and reasons, and no value ever shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from domain.errors import Invalid
from node_service.fhir.bundle import split_bundle
from node_service.fhir.quality import Finding, FindingCode
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.types import R4_ONLY_TYPES, R4_TYPES
from node_service.fhir.validation import validate, verify_resource


def resource(resource_type: str, **elements: Any) -> Resource:
    return parse_resource(json.dumps({"resourceType": resource_type, **elements}).encode())


def observation(**elements: Any) -> Resource:
    return resource("Observation", **{"status": "final", "code": {"text": "x"}, **elements})


def bundle(*resources: Resource) -> Resource:
    return resource("Bundle", type="collection", entry=[{"resource": one.value} for one in resources])


def test_every_synthea_resource_is_valid(shared_data: Path) -> None:
    for file in sorted((shared_data / "fhir" / "synthea").glob("*.json"))[:3]:
        for entry in split_bundle(file.read_bytes()).entries:
            assert entry.resource is not None
            verify_resource(entry.resource, entry.place)


def test_the_types_that_r4b_lost_are_exactly_those_without_a_model() -> None:
    def has_model(name: str) -> bool:
        try:
            get_fhir_model_class(name)
        except ValueError:
            return False
        return True

    assert {name for name in R4_TYPES if not has_model(name)} == R4_ONLY_TYPES
    assert len(R4_TYPES) == 146


@pytest.mark.parametrize(
    ("given", "place", "reason"),
    [
        (resource("Patient", birthDate="SECRET"), "birthDate", "wrong-value"),
        (resource("Patient", birthDate="2020-02-31"), "birthDate", "wrong-value"),
        (resource("Patient", secret=1), "secret", "unknown-element"),
        (resource("Patient", name=[{"family": "x"}, {"given": [3]}]), "name[1].given[0]", "wrong-value"),
        (resource("Patient", name="SECRET"), "name", "wrong-value"),
        (resource("Patient", contact=["SECRET"]), "contact[0]", "wrong-value"),
        (resource("Patient", **{"名字": "SECRET"}), "?", "unknown-element"),
        (resource("Patient", **{"a b": "SECRET"}), "?", "unknown-element"),
        (resource("Observation", status="final"), "code", "required"),
        (observation(code={"coding": [{"cod": "x"}]}), "code.coding[0].cod", "unknown-element"),
        (observation(valueString="a", valueBoolean=True), "", "wrong-value"),
        (observation(issued="2015"), "issued", "wrong-value"),
        (observation(contained=[{"resourceType": "SECRET"}]), "contained[0].resourceType", "unknown-type"),
        (observation(contained=["SECRET"]), "contained[0].resourceType", "unknown-type"),
        (
            observation(contained=[{"resourceType": "Patient", "birthDate": "x"}]),
            "contained[0].birthDate",
            "wrong-value",
        ),
        (observation(extension=[{"url": "x", "_valueFoo": {"id": "b"}}]), "extension[0]._valueFoo", "unknown-element"),
        (observation(extension=[{"url": "x", "_valueString": {}}]), "extension[0]._valueString", "empty-value"),
        (bundle(resource("Patient", birthDate="SECRET")), "entry[0].resource.birthDate", "wrong-value"),
        (bundle(resource("Citation")), "entry[0].resource.resourceType", "unknown-type"),
        (resource("Bundle", type="collection", foo=1), "foo", "unknown-element"),
        (resource("Citation", status="draft"), "resourceType", "unknown-type"),
        (resource("DomainResource"), "resourceType", "unknown-type"),
        (resource("MedicinalProduct", name=[]), "name", "empty-value"),
        (resource("MedicinalProduct", name=[{}]), "name[0]", "empty-value"),
        (resource("MedicinalProduct", name=None), "name", "empty-value"),
        (resource("MedicinalProduct", name=[[1]]), "name[0]", "wrong-value"),
        (resource("MedicinalProduct", name=[{"productName": " "}]), "name[0].productName", "wrong-value"),
        (resource("MedicinalProduct", extension={"url": "x"}), "extension", "wrong-value"),
        (resource("MedicinalProduct", text=[1]), "text", "wrong-value"),
        (resource("MedicinalProduct", meta={"lastUpdated": "2020"}), "meta.lastUpdated", "wrong-value"),
        (resource("MedicinalProduct", **{"a-b": "SECRET"}), "?", "unknown-element"),
        (
            observation(contained=[{"resourceType": "MedicinalProduct", "id": "m", "name": []}]),
            "contained[0].name",
            "empty-value",
        ),
    ],
)
def test_an_invalid_resource_is_refused_with_place_and_reason(given: Resource, place: str, reason: str) -> None:
    problem = validate(given)[0]
    assert (problem.place, problem.reason) == (place, reason)
    assert "SECRET" not in problem.detail
    with pytest.raises(Invalid) as refused:
        verify_resource(given, "entry[3].resource")
    assert refused.value.place == ".".join(part for part in ("entry[3].resource", place) if part)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "given",
    [
        observation(_valueString={"extension": [{"url": "http://x", "valueCode": "unknown"}]}),
        resource("Observation", code={"text": "x"}, _status={"extension": [{"url": "http://x", "valueCode": "y"}]}),
        resource("Patient", name=[{"given": ["a", None], "_given": [None, {"id": "b"}]}]),
        resource("Patient", birthDate="2020-02", deceasedBoolean=False),
        observation(valueQuantity={"value": 1.0, "unit": "毫克"}),
        observation(valueQuantity={"value": 1e-7}),
        resource("EffectEvidenceSynthesis", status="draft", population={"reference": "EvidenceVariable/1"}),
        resource("Evidence", status="draft", exposureBackground={"reference": "EvidenceVariable/example"}),
        resource("SubstanceSpecification", text={"status": "generated", "div": "<div/>"}),
        observation(contained=[{"resourceType": "MedicinalProduct", "id": "m", "name": [{"productName": "x"}]}]),
        resource("Parameters", parameter=[{"name": "x", "valueString": "y"}]),
        resource("Binary", contentType="text/plain", data="QUJD\nREVG"),
        observation(extension=[{"url": "http://x", "valueString": "a", "_valueString": {"id": "b"}}]),
        bundle(resource("MedicinalProduct", name=[{"productName": "x"}]), resource("Patient")),
    ],
)
def test_a_valid_r4_resource_passes(given: Resource) -> None:
    assert validate(given) == ()


def test_all_problems_are_counted_in_the_message() -> None:
    with pytest.raises(Invalid, match="and 1 more"):
        verify_resource(resource("Patient", foo=1, bar=2))


def test_a_definition_that_breaks_a_rule_is_accepted_and_the_place_told() -> None:
    noted = verify_resource(resource("Questionnaire", status="draft", item=[{"type": "group"}]), "entry[1].resource")
    assert noted == (Finding(FindingCode.BREAKS_RULE, "entry[1].resource.item[0].linkId"),)


def test_a_definition_whose_structure_is_broken_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        verify_resource(resource("Questionnaire", status="draft", item=[{}]))
    assert (refused.value.place, refused.value.reason) == ("item[0]", "empty-value")


def test_what_only_the_structure_was_checked_of_is_told() -> None:
    given = resource("MedicinalProduct", name=[{"productName": "x"}])
    assert verify_resource(given) == (Finding(FindingCode.STRUCTURE_ONLY, ""),)
    assert verify_resource(resource("Patient")) == ()
