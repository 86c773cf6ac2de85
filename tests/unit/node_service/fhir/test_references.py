"""References are found, told apart, and resolved within their Bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from node_service.fhir.bundle import split_bundle
from node_service.fhir.bundle_index import BundleIndex, conditional_key, index_bundle
from node_service.fhir.references import ReferenceKind, parse_reference, reference_paths
from node_service.fhir.resource import parse_resource


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Patient/1", (ReferenceKind.RELATIVE, "Patient", "1")),
        ("Patient/1/_history/2", (ReferenceKind.RELATIVE, "Patient", "1")),
        ("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", (ReferenceKind.URN, "", "")),
        ("urn:oid:1.2.3", (ReferenceKind.URN, "", "")),
        ("https://fhir.example/r4/Patient/1", (ReferenceKind.ABSOLUTE, "Patient", "1")),
        ("http://fhir.example/Patient/1/_history/3", (ReferenceKind.ABSOLUTE, "Patient", "1")),
        ("Practitioner?identifier=http://x|1", (ReferenceKind.CONDITIONAL, "Practitioner", "")),
        ("#p", (ReferenceKind.CONTAINED, "", "p")),
        ("#", (ReferenceKind.CONTAINED, "", "")),
        ("", (ReferenceKind.OTHER, "", "")),
        ("patient/1", (ReferenceKind.OTHER, "", "")),
        ("../Patient/1", (ReferenceKind.OTHER, "", "")),
        ("Patient/" + "1" * 65, (ReferenceKind.OTHER, "", "")),
        ("https://fhir.example/page", (ReferenceKind.OTHER, "", "")),
        ("urn:uuid:" + "1" * 5000, (ReferenceKind.OTHER, "", "")),
    ],
)
def test_a_reference_is_told_by_its_text(written: str, expected: tuple[ReferenceKind, str, str]) -> None:
    assert parse_reference(written) == expected


def test_the_paths_of_references_come_in_the_order_of_the_text() -> None:
    value: dict[str, Any] = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "performer": [{"display": "x"}, {"reference": "Practitioner/1"}],
        "extension": [{"url": "x", "valueReference": {"reference": "Basic/1"}}],
    }
    resource = parse_resource(json.dumps(value).encode())
    assert reference_paths(resource.value) == ["subject", "performer[1]", "extension[0].valueReference"]
    assert [one.target_type for one in resource.references] == ["Patient", "Practitioner", "Basic"]


def test_the_url_of_an_attachment_that_names_a_binary_is_a_reference_and_other_urls_are_not() -> None:
    urls = [
        "Binary/1",
        "urn:uuid:2",
        "https://a.example/r4/Binary/3",
        "https://a.example/x",
        "urn:oid:1.2",
        "urn:uuid:",
    ]
    value = {"resourceType": "DocumentReference", "content": [{"attachment": {"url": url}} for url in urls]}
    resource = parse_resource(json.dumps(value).encode())
    assert [(one.text, one.is_url) for one in resource.references] == [(url, True) for url in urls[:3]]
    assert reference_paths(resource.value) == [f"content[{n}].attachment" for n in range(3)]


def index() -> BundleIndex:
    entries = [
        ("urn:uuid:1", {"resourceType": "Patient", "id": "p"}),
        ("https://a.example/r4/Organization/o", {"resourceType": "Organization", "id": "o"}),
        ("urn:uuid:3", {"resourceType": "Practitioner", "identifier": [{"system": "http://x", "value": "7"}]}),
        ("urn:uuid:4", {"resourceType": "Basic", "id": "same"}),
        ("urn:uuid:5", {"resourceType": "Basic", "id": "same"}),
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
    }
    return index_bundle(split_bundle(json.dumps(bundle).encode()).entries)


@pytest.mark.parametrize(
    ("reference", "position", "resource_type"),
    [
        ("urn:uuid:1", 0, "Patient"),
        ("Patient/p", 0, "Patient"),
        ("Patient/p/_history/1", 0, "Patient"),
        ("https://a.example/r4/Organization/o", 1, "Organization"),
        ("Organization/o", 1, "Organization"),
        ("https://b.example/r4/Organization/o", None, "Organization"),
        ("Practitioner?identifier=http://x|7", 2, "Practitioner"),
        ("Practitioner?identifier=http://x|8", None, "Practitioner"),
        ("Practitioner?name=x", None, "Practitioner"),
        ("Basic/same", None, "Basic"),
        ("urn:uuid:5", 4, "Basic"),
        ("urn:uuid:9", None, ""),
        ("#x", None, ""),
    ],
)
def test_a_reference_resolves_to_one_entry_or_to_none(reference: str, position: int | None, resource_type: str) -> None:
    assert index().entry_of(reference) == position
    assert index().type_of(reference) == resource_type


@pytest.mark.parametrize(
    "reference", ["P?identifier=1", "P?identifier=a|1&name=x", "P?identifier=a|1&identifier=b|2", "P?"]
)
def test_other_searches_name_no_identifier(reference: str) -> None:
    assert conditional_key(reference) == ""


def test_every_reference_of_the_synthea_bundles_resolves(shared_data: Path) -> None:
    for file in sorted((shared_data / "fhir" / "synthea").glob("*.json"))[:4]:
        entries = split_bundle(file.read_bytes()).entries
        found = index_bundle(entries)
        for entry in entries:
            assert entry.resource is not None
            for one in entry.resource.references:
                assert one.kind is ReferenceKind.CONTAINED or found.entry_of(one.text) is not None
