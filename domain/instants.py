"""Points in time as they are signed: RFC 3339 in UTC with whole seconds, so that text order is time order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from domain.errors import Invalid

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)  # full-width digits would break text order
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def instant(at: datetime) -> str:
    """The text of a point in time, fractions of a second cut off.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a point in time needs its zone")
    return at.astimezone(UTC).strftime(_FORMAT)


def check_instant(text: object, place: str) -> str:
    """Return the text if it is a point in time of the one spelling.

    Raises:
        Invalid: otherwise.
    """
    moment(text, place)
    assert isinstance(text, str)  # noqa: S101 - moment refused everything else
    return text


def moment(text: object, place: str = "") -> datetime:
    """Read a point in time.

    Raises:
        Invalid: not ``YYYY-MM-DDThh:mm:ssZ`` or no such day or time.
    """
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise Invalid("a UTC time such as 2026-01-31T09:30:00Z is expected", place=place)
    try:
        year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
        return datetime(year, month, day, int(text[11:13]), int(text[14:16]), int(text[17:19]), tzinfo=UTC)
    except ValueError:
        raise Invalid("there is no such day or time", place=place) from None


def later(text: str, by: timedelta) -> str:
    """The instant that lies ``by`` after ``text``."""
    return instant(moment(text) + by)
