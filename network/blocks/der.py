"""DER, read as Go's ``golang.org/x/crypto/cryptobyte`` does: what peers take must be taken here, and nothing else."""

from __future__ import annotations

import re
from typing import Final

from domain.errors import Invalid

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
NUMERIC_STRING: Final = 0x12
PRINTABLE_STRING: Final = 0x13
T61_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31
_HIGH_TAG: Final = 0x1F
_MAX_LENGTH_BYTES: Final = 4
_MAX_ARC_BYTES: Final = 5
_MAX_ARC_BEFORE: Final = 1 << 24
_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})", re.ASCII)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def malformed(what: str) -> Invalid:
    """The error of this reader."""
    return Invalid(f"certificate has a malformed {what}", reason="bad-certificate")


def element(tag: int, content: bytes) -> bytes:
    """An element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    counted = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(counted))) + counted + content


class Reader:
    """Elements one after another; whatever does not fit is ``Invalid``."""

    __slots__ = ("_at", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._raw)

    def peek(self, tag: int) -> bool:
        """Whether an element of this tag comes next."""
        return self._at < len(self._raw) and self._raw[self._at] == tag

    def element(self, tag: int | None = None) -> tuple[int, bytes, bytes]:
        """The next element, of a tag if one is given: tag, content, and the whole.

        Raises:
            Invalid: there is none, of another tag, or its length is not minimal.
        """
        raw, at = self._raw, self._at
        size, begin = self._header(tag)
        end = begin + size
        if end > len(raw):
            raise malformed("length")
        self._at = end
        return raw[at], raw[begin:end], raw[at:end]

    def _header(self, tag: int | None) -> tuple[int, int]:
        """How long the next element is, and where its content begins."""
        raw, at = self._raw, self._at
        if at + 2 > len(raw) or raw[at] & _HIGH_TAG == _HIGH_TAG or tag not in (None, raw[at]):
            raise malformed("element")
        size, begin = raw[at + 1], at + 2
        return self._long(size & 0x7F, begin) if size & 0x80 else (size, begin)

    def _long(self, count: int, at: int) -> tuple[int, int]:
        counted = self._raw[at : at + count]
        size = int.from_bytes(counted, "big")
        if not 1 <= count <= _MAX_LENGTH_BYTES or len(counted) < count or counted[0] == 0 or size < 0x80:
            raise malformed("length")
        return size, at + count

    def read(self, tag: int) -> bytes:
        """The content of the next element."""
        return self.element(tag)[1]

    def inner(self, tag: int) -> Reader:
        """The elements within the next one."""
        return Reader(self.read(tag))

    def enter(self, tag: int) -> None:
        """Go on within the next element, without a look at its end, as Go does where the tag is an explicit one."""
        size, self._at = self._header(tag)
        if not size:
            raise malformed("element")

    def optional(self, tag: int) -> bytes | None:
        """The content of the next element if it has this tag."""
        return self.read(tag) if self.peek(tag) else None

    def integer(self, tag: int = INTEGER) -> int:
        """A minimally encoded INTEGER."""
        content = self.read(tag)
        if not content or (len(content) > 1 and content[0] in (0, 0xFF) and content[0] >> 7 == content[1] >> 7):
            raise malformed("integer")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self) -> bool:
        content = self.read(BOOLEAN)
        if content not in (b"\0", b"\xff"):
            raise malformed("boolean")
        return content == b"\xff"

    def oid(self) -> bytes:
        """The content of an OBJECT IDENTIFIER, each arc below 2^31 and minimal."""
        content = self.read(OBJECT_IDENTIFIER)
        _check_arcs(content)
        return content

    def bits(self) -> tuple[bytes, int]:
        """The octets of a BIT STRING and how many bits of the last are unused; these are zero."""
        content = self.read(BIT_STRING)
        unused = content[0] if content else 8
        if unused > 7 or (len(content) == 1 and unused) or (len(content) > 1 and content[-1] & ((1 << unused) - 1)):
            raise malformed("bit string")
        return content[1:], unused

    def aligned_bits(self) -> bytes:
        """A BIT STRING moved to the right by its unused bits."""
        octets, unused = self.bits()
        return (int.from_bytes(octets, "big") >> unused).to_bytes(len(octets), "big")

    def time(self) -> int:
        """Seconds since 1970 of a UTCTime or GeneralizedTime."""
        tag, content, _ = self.element()
        text = content.decode("latin-1")
        if tag == UTC_TIME:
            return _utc_time(text)
        if tag == GENERALIZED_TIME and len(text) > 4 and text[:4].isascii() and text[:4].isdigit():
            return _seconds(int(text[:4]), text[4:], seconds_needed=True)
        raise malformed("time")


def _check_arcs(content: bytes) -> None:
    if not content or content[-1] & 0x80:
        raise malformed("object identifier")
    arc = count = 0
    for octet in content:
        if count == _MAX_ARC_BYTES or arc >= _MAX_ARC_BEFORE or (count == 0 and octet == 0x80):
            raise malformed("object identifier")
        arc, count = arc << 7 | octet & 0x7F, count + 1
        if not octet & 0x80:
            arc = count = 0


def _utc_time(text: str) -> int:
    year = text[:2]
    if not (len(year) == 2 and year.isascii() and year.isdigit()):
        raise malformed("time")
    return _seconds(int(year) + (2000 if int(year) < 50 else 1900), text[2:], seconds_needed=False)


def _seconds(year: int, rest: str, *, seconds_needed: bool) -> int:
    found = _TIME.fullmatch(rest)
    if found is None or (seconds_needed and found[5] is None) or rest.endswith(("+0000", "-0000")):
        raise malformed("time")
    month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:5])
    if not (1 <= month <= 12 and 1 <= day <= _last_day(year, month) and hour < 24 and minute < 60 and second < 60):
        raise malformed("time")
    return ((_days(year, month, day) * 24 + hour) * 60 + minute - _offset(found[6])) * 60 + second


def _offset(zone: str) -> int:
    """Minutes east of UTC."""
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:])
    if hours > 24 or minutes > 59:
        raise malformed("time")
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _last_day(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else _DAYS[month - 1]


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970, in the proleptic Gregorian calendar; ``datetime`` knows no year 0."""
    before = year - 1
    since_first = before * 365 + before // 4 - before // 100 + before // 400
    within = sum(_last_day(year, earlier) for earlier in range(1, month)) + day
    return since_first + within - 719163
