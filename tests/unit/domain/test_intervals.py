"""FHIR dates and periods: as long as they are written, half open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.errors import Invalid
from domain.intervals import Interval, read_date, read_period

CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2022", "2022-01-01T00:00:00+08:00", "2023-01-01T00:00:00+08:00"),
        ("2022-02", "2022-02-01T00:00:00+08:00", "2022-03-01T00:00:00+08:00"),
        ("2022-12", "2022-12-01T00:00:00+08:00", "2023-01-01T00:00:00+08:00"),
        ("2022-12-31", "2022-12-31T00:00:00+08:00", "2023-01-01T00:00:00+08:00"),
        ("2022-06-13T10:00:00Z", "2022-06-13T10:00:00+00:00", "2022-06-13T10:00:01+00:00"),
        ("2022-06-13T10:00:00.999-05:00", "2022-06-13T10:00:00-05:00", "2022-06-13T10:00:01-05:00"),
    ],
)
def test_a_date_is_as_long_as_it_is_written(text: str, start: str, end: str) -> None:
    expected = Interval(datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert read_date(text, CHINA) == expected


@pytest.mark.parametrize(
    "text",
    ["", "22", "2022-13", "2022-02-30", "2022-1-1", "2022-01-01T10:00Z", "2022-01-01T10:00:00", "0000", "２０２２",
     None, 5, "2022-01-01T10:00:00+99:00", "9999-99-99"],
)  # fmt: skip
def test_what_is_no_fhir_date_is_invalid(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        read_date(text, UTC, "onset")
    assert refused.value.place == "onset"


@pytest.mark.parametrize(
    "period",
    [None, "2022", {}, {"begin": "2022"}, {"start": "x"}, {"end": "x"}, {"start": "2022", "end": "2021"},
     {"start": "2022-01-01T10:00:01Z", "end": "2022-01-01T10:00:00Z"}, {"start": None}],
)  # fmt: skip
def test_what_is_no_fhir_period_is_invalid(period: object) -> None:
    with pytest.raises(Invalid) as refused:
        read_period(period, UTC, "onset")
    assert refused.value.place == "onset"


def test_a_period_is_open_where_a_side_is_not_written() -> None:
    whole = read_date("2022", UTC)
    assert read_period({"start": "2022"}, UTC) == Interval(whole.start, None)
    assert read_period({"end": "2022"}, UTC) == Interval(None, whole.end)
    assert read_period({"start": "2022", "end": "2022"}, UTC) == whole


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    interval, tick = days(5, 10), timedelta(microseconds=1)
    start, end = datetime(2022, 1, 5, tzinfo=UTC), datetime(2022, 1, 10, tzinfo=UTC)
    assert [interval.contains(at) for at in (start - tick, start, end - tick, end)] == [False, True, True, False]
    assert days(None, 10).contains(start - tick)
    assert days(5, None).contains(end)


def test_the_year_9999_means_for_ever() -> None:
    assert read_period({"start": "2022", "end": "9999-12-31"}, UTC).contains(datetime(9999, 12, 31, 23, tzinfo=UTC))


def days(start: int | None, end: int | None) -> Interval:
    return Interval(
        None if start is None else datetime(2022, 1, start, tzinfo=UTC),
        None if end is None else datetime(2022, 1, end, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("inner", "covered", "overlapping"),
    [
        (days(5, 10), True, True),
        (days(6, 9), True, True),
        (days(4, 10), False, True),
        (days(5, 11), False, True),
        (days(1, 5), False, False),
        (days(10, 12), False, False),
        (days(None, 6), False, True),
        (days(9, None), False, True),
        (days(None, None), False, True),
        (days(None, 5), False, False),
        (days(10, None), False, False),
    ],
)
def test_covering_and_overlapping(inner: Interval, covered: bool, overlapping: bool) -> None:
    outer = days(5, 10)
    assert (outer.covers(inner), outer.overlaps(inner)) == (covered, overlapping)
    assert inner.overlaps(outer) == overlapping
    assert days(None, None).covers(inner)
