"""Whatever a resource holds, reading it gives values or a refusal, and no refusal quotes it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.vocabulary import CATEGORIES
from node_service.fhir.category import category
from node_service.fhir.clinical_date import clinical_date
from node_service.fhir.compartment import CompartmentKind, compartment
from node_service.fhir.identifiers import identifiers
from node_service.fhir.quality import demographics, findings
from node_service.fhir.resource import parse_resource
from node_service.fhir.validation import validate

CODED = {"coding": [{"system": "http://x.example", "code": "imaging"}], "text": "x"}
SUBJECT = {"reference": "Patient/1", "identifier": {"system": "s", "value": "v"}}
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o"}],
        "identifier": [{"type": CODED, "system": "s", "value": "11010519491231002X"}],
        "name": [{"family": "a", "given": ["b"], "_given": [None]}],
        "gender": "male",
        "birthDate": "1949-12-31",
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "category": [CODED],
        "code": CODED,
        "subject": SUBJECT,
        "effectiveTiming": {"event": ["2020"], "repeat": {"boundsPeriod": {"start": "2020"}}},
        "component": [{"code": CODED, "valueQuantity": {"value": 1.5}}],
    },
    {
        "resourceType": "AuditEvent",
        "type": {"code": "x"},
        "recorded": "2020-01-01T00:00:00Z",
        "agent": [{"requestor": True, "who": SUBJECT}],
        "source": {"observer": SUBJECT},
        "entity": [{"what": SUBJECT}],
    },
    {
        "resourceType": "Provenance",
        "target": [SUBJECT],
        "recorded": "2020-01-01T00:00:00Z",
        "agent": [{"who": SUBJECT}],
    },
    {"resourceType": "MedicinalProduct", "name": [{"productName": "x", "namePart": [{"part": "x", "type": CODED}]}]},
    {"resourceType": "Appointment", "status": "booked", "participant": [{"actor": SUBJECT, "status": "accepted"}]},
]
SECRET = "SECRET测试"
junk: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 1.5, 10**30, "", " ", SECRET, "2020-13-01", [], {}, [None], [[]], [{}], {SECRET: 1}, {"a": SECRET}]
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a value with every key or position in it."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(RESOURCES), st.lists(st.tuples(st.integers(0, 1000), junk), min_size=1, max_size=3))
def test_a_resource_with_anything_anywhere_is_read_or_refused(
    original: dict[str, Any], changes: list[tuple[int, Any]]
) -> None:
    value = copy.deepcopy(original)
    for number, replacement in changes:
        found = places(value)
        container, key = found[number % len(found)]
        container[key] = copy.deepcopy(replacement)
    try:
        resource = parse_resource(json.dumps(value).encode())
    except Invalid as refused:
        assert SECRET not in f"{refused}{refused.__dict__}"  # noqa: PT017 - most changes are not refused here
        return
    problems = validate(resource)
    assert SECRET not in "".join(f"{problem.place}{problem.detail}{problem.reason}" for problem in problems)
    assert compartment(resource.value).kind in CompartmentKind
    assert category(resource.value) in CATEGORIES
    date = clinical_date(resource.value)
    assert date is None or date.start or date.before
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert SECRET not in repr([*identifiers(resource.value), *findings(resource.value, place="", now=now)])
    assert SECRET not in repr(demographics(resource.value))
