"""FHIR dates and periods as half-open intervals of time (FHIR R4, "Primitive types", ``date``, ``dateTime``; Period).

A date is as long as it is written: ``2022`` is the whole year, ``2022-12-31`` the whole day of the given zone, a time
its whole second. An end that is written counts wholly; the year 9999 means for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from domain.errors import Invalid

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FOR_EVER = "9999-"


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``start`` up to, not including, ``end``; None where it is open."""

    start: datetime | None
    end: datetime | None

    def contains(self, at: datetime) -> bool:
        """True if the moment lies within."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def covers(self, other: Interval) -> bool:
        """True if the whole of the other interval lies within this one."""
        begins = self.start is None or (other.start is not None and self.start <= other.start)
        ends = self.end is None or (other.end is not None and other.end <= self.end)
        return begins and ends

    def overlaps(self, other: Interval) -> bool:
        """True if the two have a moment in common."""
        before = self.end is not None and other.start is not None and self.end <= other.start
        after = self.start is not None and other.end is not None and other.end <= self.start
        return not before and not after


def read_date(text: object, zone: tzinfo, place: str = "") -> Interval:
    """The interval of a FHIR ``date``, ``dateTime`` or ``instant``.

    Raises:
        Invalid: it is none of them.
    """
    if not isinstance(text, str):
        raise Invalid("a FHIR date is expected", place=place)
    try:
        if text.startswith(_FOR_EVER):
            return Interval(_read(text.replace(_FOR_EVER, "9998-", 1), zone).start, None)
        return _read(text, zone)
    except (ValueError, OverflowError):
        raise Invalid("a FHIR date is expected", place=place) from None


def read_period(period: object, zone: tzinfo, place: str = "") -> Interval:
    """The interval of a FHIR ``Period``; a side that is not written is open.

    Raises:
        Invalid: it is none.
    """
    if not isinstance(period, dict) or not period.keys() & {"start", "end"}:
        raise Invalid("a FHIR period is expected", place=place)
    start = read_date(period["start"], zone, place).start if "start" in period else None
    end = read_date(period["end"], zone, place).end if "end" in period else None
    if start is not None and end is not None and end <= start:
        raise Invalid("the period ends before it begins", place=place)
    return Interval(start, end)


def _read(text: str, zone: tzinfo) -> Interval:
    return _read_time(text) or _read_days(text, zone)


def _read_time(text: str) -> Interval | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    start = datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00"))
    return Interval(start, start + timedelta(seconds=1))


def _read_days(text: str, zone: tzinfo) -> Interval:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    start = datetime(year, month, day, tzinfo=zone)
    if match[3]:
        following = datetime(year, month, day) + timedelta(days=1)  # noqa: DTZ001 - the zone's next midnight follows
        return Interval(start, following.replace(tzinfo=zone))
    years, months = divmod(year * 12 + month - 1 + (1 if match[2] else 12), 12)
    return Interval(start, datetime(years, months + 1, 1, tzinfo=zone))
