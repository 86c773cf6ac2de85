"""Identifiers, binary values and points in time have one spelling each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import identifiers, instants
from domain.errors import Invalid

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@given(st.binary(min_size=16, max_size=16))
def test_an_identifier_is_a_fhir_id_and_accepted(value: bytes) -> None:
    text = identifiers.identifier(value)
    assert FHIR_ID.fullmatch(text)
    assert identifiers.check_identifier(text, "id") == text


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=2, unique=True))
def test_two_values_have_two_identifiers(values: list[bytes]) -> None:
    assert identifiers.identifier(values[0]) != identifiers.identifier(values[1])


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_an_identifier_has_128_bits(length: int) -> None:
    with pytest.raises(ValueError, match="16"):
        identifiers.identifier(bytes(length))


@pytest.mark.parametrize(
    "text",
    ["", "a" * 25, "a" * 27, "A" * 26, "a" * 25 + "b", "a" * 25 + "7", "1" + "a" * 25, "a" * 26 + "\n", "a" * 25 + "=",
     None, 5, b"a" * 26, ["a" * 26]],
)  # fmt: skip
def test_what_is_no_identifier_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as caught:
        identifiers.check_identifier(text, "place")
    assert caught.value.place == "place"


@given(st.binary(max_size=100))
def test_binary_values_are_read_back(value: bytes) -> None:
    text = identifiers.encode_bytes(value)
    assert "=" not in text
    assert identifiers.decode_bytes(text, "v") == value
    assert identifiers.decode_bytes(text, "v", length=len(value)) == value


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "AAB", "a+/a", "AA\n", " AA", "ÄA", None, 3, b"AA"])
def test_binary_values_have_one_spelling(text: object) -> None:
    with pytest.raises(Invalid):
        identifiers.decode_bytes(text, "v")


def test_binary_values_have_bounds() -> None:
    assert identifiers.decode_bytes("AAAA", "v", max_length=3) == bytes(3)
    for refused in (
        lambda: identifiers.decode_bytes("AAAAAA", "v", max_length=3),
        lambda: identifiers.decode_bytes("AAAA", "v", length=4),
        lambda: identifiers.check_digest("AAAA", "v"),
    ):
        with pytest.raises(Invalid):
            refused()
    assert identifiers.check_digest(identifiers.encode_bytes(bytes(32)), "v")


@pytest.mark.parametrize("check", [identifiers.check_msp_id, identifiers.check_code])
@pytest.mark.parametrize("text", ["", "a b", "a/b", "a\0", "-a", "a" * 65, "ä", "a\n", None])
def test_codes_and_msp_ids_need_no_escaping(check: Callable[[object, str], str], text: object) -> None:
    assert check("Hospital-A.MSP", "v") == "Hospital-A.MSP"
    with pytest.raises(Invalid):
        check(text, "v")


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))  # noqa: DTZ001
def test_an_instant_is_the_same_moment_in_utc_without_fractions(at: datetime) -> None:
    if not timedelta(hours=9) < at.replace(tzinfo=UTC) - datetime(1000, 1, 1, tzinfo=UTC):
        return
    text = instants.instant(at)
    assert instants.moment(text) == at.replace(microsecond=0)


@given(st.lists(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)), min_size=2, max_size=2))  # noqa: DTZ001
def test_text_order_is_time_order(moments: list[datetime]) -> None:
    first, second = (at.replace(microsecond=0) for at in moments)
    assert (instants.instant(first) < instants.instant(second)) == (first < second)


@pytest.mark.parametrize(
    "text",
    ["2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01",
     "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00+00:00", "2026-01-01t00:00:00z", " 2026-01-01T00:00:00Z",
     "2026-01-01T00:00:00Z\n", "0000-01-01T00:00:00Z", "２０２６-01-01T00:00:00Z", None, 5],
)  # fmt: skip
def test_a_point_in_time_has_one_spelling(text: object) -> None:
    with pytest.raises(Invalid):
        instants.check_instant(text, "at")


def test_a_moment_without_zone_is_no_instant() -> None:
    with pytest.raises(ValueError, match="zone"):
        instants.instant(datetime(2026, 1, 1))  # noqa: DTZ001


def test_later_crosses_days() -> None:
    assert instants.later("2026-12-31T23:59:59Z", timedelta(seconds=1)) == "2027-01-01T00:00:00Z"
