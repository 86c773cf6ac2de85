"""Bytes from anybody: every reader answers with an error of the taxonomy, never with another exception."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import Invalid, Tampered
from offchain.envelope.chunk_list import ChunkList
from offchain.envelope.content import Description, Preamble
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey, derive_owner_salt
from offchain.envelope.messages import SealedMessage
from offchain.envelope.sealed import SealedBytes, received
from offchain.envelope.wraps import Wrap
from tests.unit.offchain.sealing import KEY, OBJECT_ID, OTHER_OBJECT_ID, TEST_SUITES, header, sealed_small

READERS: dict[str, Callable[[bytes], object]] = {
    "object": lambda data: SealedBytes.of(data, TEST_SUITES),
    "stream": lambda data: list(received([data], max_bytes=10_000, allowed=TEST_SUITES)),
    "header": lambda data: Header.parse(data, TEST_SUITES),
    "chunk-list": ChunkList.parse,
    "wrap": Wrap.parse,
    "message": SealedMessage.parse,
    "description": Description.parse,
    "preamble": lambda data: Preamble.parse(memoryview(data)),
}
GOOD = [sealed_small(bytes(100)).data, header().encode(), sealed_small(b"").chunk_list.encode()]


@st.composite
def _nearly_good(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) + draw(st.binary(max_size=20))


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
@given(data=st.one_of(st.binary(max_size=200), _nearly_good()))
@example(data=b"YLN1\x00\x00\x00\x02{}" + bytes(100))
@example(data=b"YLN1\x00\x00\x00\x05" + b'"\xff\xfe"' + bytes(100))
@settings(max_examples=60, deadline=None)
def test_hostile_bytes_are_invalid_or_tampered(reader: Callable[[bytes], object], data: bytes) -> None:
    with suppress(Invalid, Tampered):
        reader(data)


def test_the_owner_salt_depends_on_key_and_object() -> None:
    salt = derive_owner_salt(KEY, OBJECT_ID)
    assert salt == derive_owner_salt(DataKey(KEY.reveal()), OBJECT_ID)
    assert len({salt, derive_owner_salt(KEY, OTHER_OBJECT_ID), derive_owner_salt(DataKey(bytes(32)), OBJECT_ID)}) == 3
    assert len(salt) == 32
