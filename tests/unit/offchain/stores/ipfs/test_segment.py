"""Segments: golden bytes, what goes together, and tables that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Tampered
from offchain.stores.ipfs.segment import (
    MAX_OBJECTS,
    MAX_PACKED_BYTES,
    MAX_SEGMENT_BYTES,
    Span,
    batches,
    parse_table,
    pieces,
    spans,
)

GOLDEN = bytes.fromhex("594c4e53 01 00000002 0000000000000003 0000000000000001 616263 64")


def test_two_objects_are_these_bytes() -> None:
    assert b"".join(pieces([b"abc", b"d"])) == GOLDEN
    assert spans([3, 1]) == parse_table(GOLDEN, len(GOLDEN)) == [Span(25, 3), Span(28, 1)]


def test_one_object_stands_bare() -> None:
    assert b"".join(pieces([b"abc"])) == b"abc"
    assert spans([3]) == [Span(0, 3)]


@given(st.lists(st.binary(max_size=50), min_size=2, max_size=40))
def test_what_was_packed_is_found_where_the_table_says(objects: list[bytes]) -> None:
    data = b"".join(pieces(objects))
    found = parse_table(data, len(data))
    assert [data[one.offset : one.offset + one.length] for one in found] == objects


@given(st.binary(max_size=60), st.integers(0, 100))
def test_bytes_that_are_no_table_are_tampered_or_fit_exactly(start: bytes, total: int) -> None:
    try:
        found = parse_table(b"YLNS\x01" + start, total)
    except Tampered:
        return
    assert found[-1].offset + found[-1].length == total


@pytest.mark.parametrize(
    "altered",
    [
        GOLDEN[:8], GOLDEN[:24], b"YLN1" + GOLDEN[4:], GOLDEN[:4] + b"\x02" + GOLDEN[5:],
        GOLDEN[:8] + b"\x01" + GOLDEN[9:], GOLDEN[:5] + b"\xff" + GOLDEN[6:], GOLDEN + b"e", GOLDEN[:-1],
    ],
)  # fmt: skip
def test_an_altered_table_is_tampered(altered: bytes) -> None:
    with pytest.raises(Tampered):
        parse_table(altered, len(altered))


@given(st.lists(st.integers(1, 2 * MAX_PACKED_BYTES), max_size=30))
def test_every_object_goes_into_one_segment_and_none_is_too_long(lengths: list[int]) -> None:
    made = list(batches(lengths))
    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or sum(lengths[position] for position in batch) <= MAX_SEGMENT_BYTES
        assert len(batch) == 1 or max(lengths[position] for position in batch) <= MAX_PACKED_BYTES


def test_no_segment_has_more_objects_than_its_table_may() -> None:
    assert [len(batch) for batch in batches([1] * (MAX_OBJECTS + 1))] == [MAX_OBJECTS, 1]
