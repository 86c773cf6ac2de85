"""Which number an identifier is, and whether it can be right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_service.fhir.identifiers import (
    IdentifierType,
    check_character,
    identifier_type,
    identifiers,
    identity_number_fits,
    normalised,
    widened,
)

V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def typed(code: str = "", text: str = "", system: str = "") -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": V2, "code": code}]} if code else {}
    if text:
        concept["text"] = text
    return {"type": concept, "system": system, "value": "1"}


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (typed(text="居民身份证号"), IdentifierType.RESIDENT_IDENTITY),
        (typed(system="urn:oid:2.16.156.10011.1.3"), IdentifierType.RESIDENT_IDENTITY),
        (typed("NI", system="urn:oid:2.16.156.1"), IdentifierType.RESIDENT_IDENTITY),
        (typed("NNCHN"), IdentifierType.RESIDENT_IDENTITY),
        (typed("NI", system="http://other.example"), IdentifierType.NATIONAL),
        (typed(text="医保号"), IdentifierType.HEALTH_INSURANCE),
        (typed("HC"), IdentifierType.HEALTH_INSURANCE),
        (typed(text="居民健康卡"), IdentifierType.HEALTH_CARD),
        (typed(system="urn:oid:2.16.156.10011.1.19"), IdentifierType.HEALTH_CARD),
        (typed(text="就诊卡号"), IdentifierType.VISIT_CARD),
        (typed("MR", text="门诊号"), IdentifierType.OUTPATIENT),
        (typed(system="urn:oid:2.16.156.10011.1.11"), IdentifierType.OUTPATIENT),
        (typed("MR", text="住院号"), IdentifierType.INPATIENT),
        (typed(system="urn:oid:2.16.156.10011.1.12"), IdentifierType.INPATIENT),
        (typed(text="病案号"), IdentifierType.MEDICAL_RECORD),
        (typed("MR"), IdentifierType.MEDICAL_RECORD),
        (typed(text="Medical Record Number"), IdentifierType.MEDICAL_RECORD),
        (typed("PPN"), IdentifierType.PASSPORT),
        (typed(text="护照"), IdentifierType.PASSPORT),
        (typed("DL"), IdentifierType.DRIVER_LICENCE),
        (typed("SS"), IdentifierType.SOCIAL_SECURITY),
        (typed(system="http://hl7.org/fhir/sid/us-ssn"), IdentifierType.SOCIAL_SECURITY),
        (typed(system="https://hospital.example"), IdentifierType.OTHER),
        ({"type": "wrong", "value": 3}, IdentifierType.OTHER),
    ],
)
def test_an_identifier_is_recognised(identifier: dict[str, Any], expected: IdentifierType) -> None:
    assert identifier_type(identifier) is expected


@pytest.mark.parametrize(
    ("number", "fits"),
    [
        ("11010519491231002X", True),  # the example of GB 11643-1999
        ("440524188001010014", True),  # idem
        ("110105194912310021", False),
        ("11010519491331002X", False),
        ("11010519490229002X", False),
        ("11010519491231002x", False),
        ("1101051949123100", False),
        ("", False),
    ],
)
def test_the_check_digit_of_an_identity_number(number: str, fits: bool) -> None:
    assert identity_number_fits(number) is fits


@given(st.integers(0, 10**17 - 1), st.integers(0, 16), st.integers(1, 9))
def test_one_changed_digit_is_always_noticed(number: int, place: int, change: int) -> None:
    digits = f"{number:017}"
    altered = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    assert check_character(altered) != check_character(digits)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("110105491231002", "11010519491231002X"),
        ("110105491231997", "110105491231997"),
        ("11010519491231002X", "11010519491231002X"),
    ],
)
def test_an_old_identity_number_is_written_in_18_digits_unless_its_century_is_open(number: str, expected: str) -> None:
    assert widened(number) == expected


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        (IdentifierType.RESIDENT_IDENTITY, " １１０１０５ 19491231-002x ", "11010519491231002X"),
        (IdentifierType.PASSPORT, "e 1234-5678", "E12345678"),
        (IdentifierType.SOCIAL_SECURITY, "999-94-3292", "999943292"),
        (IdentifierType.INPATIENT, " a-001 ", "a-001"),
        (IdentifierType.OTHER, "b756-d3", "b756-d3"),
    ],
)
def test_a_number_has_one_spelling(kind: IdentifierType, written: str, expected: str) -> None:
    assert normalised(kind, written) == expected


def test_identifiers_of_a_patient_keep_their_position_and_hide_their_value() -> None:
    patient: dict[str, Any] = {
        "identifier": [
            {"system": "s"},
            typed(text="身份证") | {"value": "11010519491231002x"},
            typed(text="身份证") | {"value": "110105194912310021"},
            {"value": "9" * 257},
        ]
    }
    found = identifiers(patient)
    assert [(one.index, one.check_digit_fits) for one in found] == [(1, True), (2, False)]
    assert found[0].key == ("resident-identity", "", "11010519491231002X")
    assert "1101" not in repr(found)


@pytest.mark.parametrize(
    "written", ["", " ", "-", "——", "/", "0", "000000", "无", "不详", "NULL", "n/a", "ＵＮＫＮＯＷＮ"]
)
def test_a_placeholder_is_no_number_and_joins_nobody(written: str) -> None:
    assert identifiers({"identifier": [{"system": "http://x", "value": written}]}) == ()


@pytest.mark.parametrize("written", ["1", "A-0", "0001", "无锡1", "N"])
def test_a_short_or_odd_number_is_a_number(written: str) -> None:
    assert len(identifiers({"identifier": [{"system": "http://x", "value": written}]})) == 1
