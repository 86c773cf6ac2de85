"""What is odd but accepted is reported with codes and places."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from node_service.fhir.quality import (
    MAX_FINDINGS,
    Finding,
    FindingCode,
    QualityReport,
    contradictions,
    demographics,
    findings,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def identity(value: str) -> dict[str, Any]:
    return {"type": {"text": "身份证"}, "value": value}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "birthDate": "1949-12-31", "gender": "female", **elements}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (patient(), []),
        (patient(identifier=[identity("11010519491231002X")]), []),
        (patient(birthDate="1949", identifier=[identity("11010519491231002X")]), []),
        (patient(identifier=[{}, identity("110105194912310021")]), [("identifier-check-digit", "x.identifier[1]")]),
        (
            patient(gender="male", identifier=[identity("11010519491231002X")]),
            [("identifier-contradicts-gender", "x.identifier[0]")],
        ),
        (
            patient(birthDate="1949-12-30", identifier=[identity("11010519491231002X")]),
            [("identifier-contradicts-birth-date", "x.identifier[0]")],
        ),
        ({"resourceType": "Patient"}, [("birth-date-missing", "x.birthDate"), ("gender-missing", "x.gender")]),
        (
            {"resourceType": "Observation", "effectiveDateTime": "2026-02-02"},
            [("date-in-future", "x.effectiveDateTime")],
        ),
        ({"resourceType": "Observation", "effectiveDateTime": "2026-02-01"}, []),
        ({"resourceType": "Observation", "effectiveDateTime": "2026"}, []),
        ({"resourceType": "Appointment", "start": "2030-01-01T00:00:00Z"}, []),
    ],
)
def test_a_resource_is_reported_with_code_and_place(value: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(one.code.value, one.place) for one in findings(value, place="x", now=NOW)] == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (patient(), patient(), ()),
        (patient(), patient(birthDate="1949-12-30"), ("birthDate",)),
        (patient(), patient(birthDate="1949-12"), ()),
        (patient(), patient(birthDate="1950"), ("birthDate",)),
        (patient(), patient(gender="male"), ("gender",)),
        (patient(), patient(gender="unknown"), ()),
        (patient(), {}, ()),
        (patient(name=[{"family": "a"}]), patient(name=[{"family": "b"}]), ()),
    ],
)
def test_two_patients_contradict_by_birth_date_and_gender_only(
    one: dict[str, Any], other: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert contradictions(demographics(one), demographics(other)) == expected
    assert contradictions(demographics(other), demographics(one)) == expected


def test_names_are_folded_and_hidden() -> None:
    found = demographics(patient(name=[{"family": "ＷANG", "given": ["Fang"]}, {"text": "王 芳"}, {}]))
    assert found.names == {"wangfang", "王芳"}
    assert "wang" not in repr(found)


def test_the_report_counts_everything_and_keeps_a_bounded_list() -> None:
    report = QualityReport()
    report.add("a", [Finding(FindingCode.DUPLICATE, str(n)) for n in range(MAX_FINDINGS)])
    report.add("b", [Finding(FindingCode.UNRESOLVED, "x")])
    assert report.counts == {FindingCode.DUPLICATE: MAX_FINDINGS, FindingCode.UNRESOLVED: 1}
    assert len(report.findings) == MAX_FINDINGS
