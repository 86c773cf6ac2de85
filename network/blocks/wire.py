"""Protobuf's outermost layer without copies: where the length-delimited fields of a message lie in its bytes.

Blocks are large. Parsing one into a message and writing it again, to see that nothing hides in it, costs several times
its hash; this costs next to nothing and accepts the one canonical encoding only.
"""

from __future__ import annotations

from domain.errors import Invalid

_LENGTH_DELIMITED = 2
_MAX_VARINT_BYTES = 5
_FIRST_BYTES_FIELD = 1 << 3 | _LENGTH_DELIMITED


def split_fields(raw: bytes, start: int, end: int, what: str) -> list[tuple[int, int, int]]:
    """Field number, start and end of each field's content between ``start`` and ``end``.

    Raises:
        Invalid: a field of another wire type, cut off, or with a length or tag that is not minimally encoded.
    """
    fields = []
    position = start
    while position < end:
        tag, position = _varint(raw, position, end, what)
        size, position = _varint(raw, position, end, what)
        if tag & 7 != _LENGTH_DELIMITED or tag >> 3 == 0 or size > end - position:
            raise Invalid(f"bytes are not a {what}", reason="bad-protobuf", place=what)
        fields.append((tag >> 3, position, position + size))
        position += size
    return fields


def repeated_bytes(raw: bytes, start: int, end: int, what: str) -> tuple[bytes, ...]:
    """The entries of a message whose only field is ``repeated bytes … = 1``.

    Lengths of one and two bytes are read in place: they are nearly all, and the loop runs once per transaction.

    Raises:
        Invalid: any other field, or an entry that is cut off.
    """
    entries = []
    position = start
    while position + 1 < end:
        if raw[position] != _FIRST_BYTES_FIELD:
            raise Invalid(f"{what} has unknown fields", reason="not-canonical", place=what)
        size, second = raw[position + 1], raw[position + 2] if position + 2 < end else 0
        if size < 0x80:
            position += 2
        elif 0 < second < 0x80:
            size, position = size & 0x7F | second << 7, position + 3
        else:
            size, position = _varint(raw, position + 1, end, what)
        entries.append(raw[position : position + size])
        position += size
    if position != end:
        raise Invalid(f"{what} is cut off", reason="bad-protobuf", place=what)
    return tuple(entries)


def _varint(raw: bytes, position: int, end: int, what: str) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position >= end:
            break
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index:
                break
            return value, position
    raise Invalid(f"{what} has a length that is no minimal varint", reason="bad-protobuf", place=what)
