"""The splitter of blocks, against the protobuf library."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from network.blocks.block import parse_block
from network.blocks.protos import common
from network.blocks.wire import repeated_bytes, split_fields


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([bytes(127), bytes(128), bytes(16_384)]))))
def test_entries_are_those_of_the_library(entries: list[bytes]) -> None:
    raw = common.BlockData(data=entries).SerializeToString()
    assert list(repeated_bytes(b"x" + raw + b"y", 1, 1 + len(raw), "BlockData")) == entries
    assert [raw[start:end] for _, start, end in split_fields(raw, 0, len(raw), "BlockData")] == entries


REFUSED = {
    "cut off entry": b"\x0a\x02x",
    "cut off length": b"\x0a\x80",
    "lone tag": b"\x0a",
    "other field": b"\x12\x01x",
    "number instead of bytes": b"\x08\x01",
    "length that is not minimal": b"\x0a\x81\x00x",
    "length of more than five bytes": b"\x0a\x81\x81\x81\x81\x81\x01x",
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_bytes_are_refused(what: str) -> None:
    raw = REFUSED[what]
    with pytest.raises(Invalid):
        repeated_bytes(raw + b"x" * 9, 0, len(raw), "BlockData")
    if what != "other field":
        with pytest.raises(Invalid):
            split_fields(raw + b"x" * 9, 0, len(raw), "BlockData")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_a_block_is_accepted_only_as_the_library_would_write_it(raw: bytes) -> None:
    try:
        block = parse_block(b"\x0a\x00\x12" + bytes([len(raw)]) + raw + b"\x1a\x00")
    except Invalid:
        return
    message = common.Block(data=common.BlockData(data=block.envelopes))
    assert raw == message.data.SerializeToString()
