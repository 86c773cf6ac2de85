"""A segment: the file in IPFS that holds one sealed object, or many small ones one after the other.

One object stands bare, so that whoever has its CID reads the sealed bytes with any IPFS client. Several stand behind a
table: ``YLNS`` ‖ version 1 ‖ count, 4 bytes big-endian ‖ length of each, 8 bytes big-endian ‖ the objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import Tampered
from offchain.envelope.chunk_list import Buffer

MAGIC: Final = b"YLNS"
VERSION: Final = 1
MAX_OBJECTS: Final = 4096
MAX_SEGMENT_BYTES: Final = 4 << 20
MAX_PACKED_BYTES: Final = 1 << 20
"""What is longer has a segment of its own."""
_FIXED_BYTES: Final = len(MAGIC) + 1 + 4
_LENGTH_BYTES: Final = 8
MAX_TABLE_BYTES: Final = _FIXED_BYTES + MAX_OBJECTS * _LENGTH_BYTES


@dataclass(frozen=True, slots=True)
class Span:
    """Where an object lies within its segment."""

    offset: int
    length: int


def spans(lengths: Sequence[int]) -> list[Span]:
    """Where objects of these lengths lie in a segment of their own."""
    offset = 0 if len(lengths) == 1 else _table_bytes(len(lengths))
    placed: list[Span] = []
    for length in lengths:
        placed.append(Span(offset, length))
        offset += length
    return placed


def pieces(objects: Sequence[Buffer]) -> Iterator[Buffer]:
    """The bytes of a segment."""
    if len(objects) > 1:
        yield MAGIC + bytes((VERSION,)) + len(objects).to_bytes(4, "big")
        yield b"".join(len(one).to_bytes(_LENGTH_BYTES, "big") for one in objects)
    yield from objects


def parse_table(start: bytes, total_bytes: int) -> list[Span]:
    """Read the table at the start of a segment of several objects.

    Raises:
        Tampered: it is none.
    """
    count = int.from_bytes(start[_FIXED_BYTES - 4 : _FIXED_BYTES], "big")
    known = start[: len(MAGIC) + 1] == MAGIC + bytes((VERSION,))
    if not known or not 1 < count <= MAX_OBJECTS or len(start) < _table_bytes(count):
        raise Tampered("the segment has no table", reason="segment")
    table = start[_FIXED_BYTES : _table_bytes(count)]
    starts = range(0, len(table), _LENGTH_BYTES)
    found = spans([int.from_bytes(table[one : one + _LENGTH_BYTES], "big") for one in starts])
    if found[-1].offset + found[-1].length != total_bytes:
        raise Tampered("the segment has not the length of its table", reason="segment")
    return found


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which objects go into one segment together: the positions, in order."""
    batch, total = list[int](), 0
    for position, length in enumerate(lengths):
        if length > MAX_PACKED_BYTES:
            yield [position]
            continue
        if batch and (total + length > MAX_SEGMENT_BYTES or len(batch) == MAX_OBJECTS):
            yield batch
            batch, total = [], 0
        batch.append(position)
        total += length
    if batch:
        yield batch


def _table_bytes(count: int) -> int:
    return _FIXED_BYTES + count * _LENGTH_BYTES
