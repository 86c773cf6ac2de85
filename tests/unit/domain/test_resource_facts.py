"""What a consent decision looks at in a resource."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import Invalid
from domain.intervals import read_date
from domain.resource_facts import resource_facts
from tests.unit.domain.test_intervals import CHINA, days


def test_facts_are_read_from_a_resource() -> None:
    found = resource_facts(
        {
            "resourceType": "Procedure",
            "id": "p",
            "subject": {"reference": "Patient/x/_history/2"},
            "performedPeriod": {"start": "2022-01-05", "end": "2022-01-09"},
            "performer": [{"actor": {"reference": "Practitioner/a"}}, {"actor": {"display": "somebody"}}],
            "recorder": {"reference": "Practitioner/b"},
            "encounter": {"reference": "Encounter/e"},
        }
    )
    assert (found.reference, found.type, found.patient) == ("Procedure/p", "Procedure", "Patient/x")
    assert found.clinical == days(5, 10)
    assert found.authors == ("Practitioner/a", "", "Practitioner/b")
    assert "Encounter/e" in found.references


def test_a_patient_is_its_own_patient_and_directory_resources_have_none() -> None:
    assert resource_facts({"resourceType": "Patient", "id": "x"}).patient == "Patient/x"
    assert resource_facts({"resourceType": "Organization", "id": "x"}).patient is None
    group = {"resourceType": "Observation", "id": "x", "subject": {"reference": "Group/g"}}
    assert resource_facts(group).patient is None  # type: ignore[arg-type]


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Patient"}, {"resourceType": 1, "id": "x"}])
def test_what_is_no_resource_has_no_facts(resource: Any) -> None:
    with pytest.raises(Invalid) as refused:
        resource_facts(resource)
    assert refused.value.place == "resource"


def test_facts_have_the_category_that_is_known_and_dates_their_zone() -> None:
    resource: Any = {"resourceType": "Observation", "id": "x", "effectiveDateTime": "2022-01-05"}
    found = resource_facts(resource, category="result", zone=CHINA)
    assert (found.category, found.clinical) == ("result", read_date("2022-01-05", CHINA))
    assert resource_facts(resource).category is None


def test_a_resource_has_a_bounded_number_of_references() -> None:
    resource: Any = {
        "resourceType": "List",
        "id": "x",
        "entry": [{"reference": f"Observation/{n}"} for n in range(10_000)],
    }
    assert len(resource_facts(resource).references) == 10_000
    resource["entry"].append({"reference": "Observation/more"})
    with pytest.raises(Invalid) as refused:
        resource_facts(resource)
    assert refused.value.place == "resource"


@pytest.mark.parametrize(
    "dates",
    [
        {"effectiveTiming": {"event": ["2004-01-01"]}, "issued": "2022-06-01T00:00:00Z"},
        {"_effectiveDateTime": {"extension": []}, "issued": "2022-06-01T00:00:00Z"},
        {"onsetAge": {"value": 12}, "recordedDate": "2022-06-01"},
        {"onsetString": "childhood", "recordedDate": "2022-06-01"},
        {"performedString": "long ago", "recordedDate": "2022-06-01"},
        {"occurrenceString": "long ago", "recordedDate": "2022-06-01"},
        {},
    ],
)
def test_when_it_was_written_down_does_not_stand_for_when_it_happened(dates: dict[str, Any]) -> None:
    assert resource_facts({"resourceType": "Observation", "id": "x", **dates}).clinical is None


@pytest.mark.parametrize(
    "dates",
    [{"effectiveDateTime": "2022-01-05", "_effectiveDateTime": {"id": "a"}, "issued": "2022-06-01"},
     {"performer": [{}], "issued": "2022-01-05"}],
)  # fmt: skip
def test_the_clinical_date_is_read_where_it_is_written(dates: dict[str, Any]) -> None:
    assert resource_facts({"resourceType": "Observation", "id": "x", **dates}).clinical == days(5, 6)
