"""When what a resource tells happened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from node_service.fhir.clinical_date import bounds, clinical_date


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("written", "start", "before"),
    [
        ("2020", at(2020, 1, 1), at(2021, 1, 1)),
        ("2020-02", at(2020, 2, 1), at(2020, 3, 1)),
        ("2020-12", at(2020, 12, 1), at(2021, 1, 1)),
        ("2020-02-29", at(2020, 2, 29), at(2020, 3, 1)),
        ("2020-02-29T23:59:59+08:00", at(2020, 2, 29, 15, 59, 59), at(2020, 2, 29, 16)),
        ("2020-01-01T00:00:00-05:30", at(2020, 1, 1, 5, 30), at(2020, 1, 1, 5, 30, 1)),
        ("2020-01-01T00:00Z", at(2020, 1, 1), at(2020, 1, 1, 0, 1)),
        ("2020-01-01T00:00:00.5Z", at(2020, 1, 1, 0, 0, 0, 500000), at(2020, 1, 1, 0, 0, 0, 600000)),
        ("2020-01-01T00:00:00.1234567Z", at(2020, 1, 1, 0, 0, 0, 123456), at(2020, 1, 1, 0, 0, 0, 123457)),
        ("2020-01-01T00:00:60Z", at(2020, 1, 1, 0, 0, 59), at(2020, 1, 1, 0, 1)),
    ],
)
def test_a_date_covers_all_that_its_precision_leaves_open(written: str, start: datetime, before: datetime) -> None:
    assert bounds(written) == (start, before)


@pytest.mark.parametrize("written", ["", "x", "2020-13", "2020-02-30", "9999", "0000", "20200101", "2020-01-01T25:00Z"])
def test_what_is_no_date_has_no_bounds(written: str) -> None:
    assert bounds(written) is None


@pytest.mark.parametrize(
    ("value", "element", "written"),
    [
        ({"resourceType": "Observation", "effectiveDateTime": "2020", "issued": "2021"}, "effectiveDateTime",
         ("2020", "2020")),
        ({"resourceType": "Observation", "issued": "2021-01-01T00:00:00Z"}, "issued",
         ("2021-01-01T00:00:00Z", "2021-01-01T00:00:00Z")),
        ({"resourceType": "Observation", "effectivePeriod": {"start": "2020"}}, "effectivePeriod", ("2020", "")),
        ({"resourceType": "Observation", "effectivePeriod": {"end": "2020"}}, "effectivePeriod", ("", "2020")),
        ({"resourceType": "Observation", "effectiveTiming": {"event": ["2022", "2020", "2021"]}}, "effectiveTiming",
         ("2020", "2022")),
        ({"resourceType": "Observation",
          "effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2020", "end": "2021"}}}}, "effectiveTiming",
         ("2020", "2021")),
        ({"resourceType": "Condition", "onsetAge": {"value": 3}, "recordedDate": "2020-05"}, "recordedDate",
         ("2020-05", "2020-05")),
        ({"resourceType": "Encounter", "period": {"start": "2020-01-01", "end": "2020-01-03"}}, "period",
         ("2020-01-01", "2020-01-03")),
        ({"resourceType": "DocumentReference", "context": {"period": {"start": "2020"}}, "date": "2021"},
         "context.period", ("2020", "")),
        ({"resourceType": "Specimen", "collection": {"collectedDateTime": "2020"}}, "collection.collectedDateTime",
         ("2020", "2020")),
        ({"resourceType": "Appointment", "start": "2020-01-01T08:00:00Z", "end": "2020-01-01T09:00:00Z"}, "start",
         ("2020-01-01T08:00:00Z", "2020-01-01T09:00:00Z")),
        ({"resourceType": "Claim", "billablePeriod": {"start": "2020", "end": "2020"}, "created": "2021"},
         "billablePeriod", ("2020", "2020")),
    ],
)  # fmt: skip
def test_the_first_date_of_the_table_counts(value: dict[str, Any], element: str, written: tuple[str, str]) -> None:
    found = clinical_date(value)
    assert found is not None
    assert (found.element, found.written) == (element, written)
    assert (found.start is None, found.before is None) == (written[0] == "", written[1] == "")


@pytest.mark.parametrize(
    "value",
    [
        {"resourceType": "Patient", "birthDate": "1990-01-02", "deceasedDateTime": "2020"},
        {"resourceType": "RelatedPerson", "birthDate": "1990-01-02"},
        {"resourceType": "Practitioner", "birthDate": "1990-01-02"},
        {"resourceType": "Person", "birthDate": "1990-01-02"},
        {"resourceType": "Observation", "effectiveDateTime": "yesterday"},
        {"resourceType": "Observation", "effectiveTiming": {"event": []}},
        {"resourceType": "Observation", "effectivePeriod": 3},
        {"resourceType": "FamilyMemberHistory", "bornDate": "1990"},
        {},
    ],
)
def test_a_birth_date_is_never_a_clinical_date_and_nonsense_is_none(value: dict[str, Any]) -> None:
    assert clinical_date(value) is None
