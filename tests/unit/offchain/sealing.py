"""Values with which the tests of the off-chain store seal."""

from __future__ import annotations

import os

from domain.identifiers import identifier
from offchain.envelope.chunk_list import ChunkList
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes, SealedObject
from offchain.envelope.suite import A256GCM_64_TEST, Suite

TEST_SUITES = (A256GCM_64_TEST,)
OBJECT_ID = identifier(bytes(range(16)))
OTHER_OBJECT_ID = identifier(bytes(range(16, 32)))
KEY = DataKey(bytes(range(32)))
DESCRIPTION = Description("text/plain", "a.txt")


def fresh_id() -> str:
    """A random identifier."""
    return identifier(os.urandom(16))


def header(object_id: str = OBJECT_ID, suite: Suite = A256GCM_64_TEST) -> Header:
    """A header with a fixed salt."""
    return Header(object_id, "HospitalA", bytes(32), suite)


def sealed_small(content: bytes, key: DataKey = KEY, object_id: str = OBJECT_ID) -> SealedBytes:
    """Content sealed in chunks of 64 bytes."""
    return seal(PlainBytes(content, DESCRIPTION), key, header(object_id))


def sealed_of(size: int = 2_000) -> SealedBytes:
    """Random content of this size, sealed as in production."""
    return seal(PlainBytes(os.urandom(size), DESCRIPTION), KEY, Header.fresh(fresh_id(), "HospitalA"))


def verified(data: bytes, digest: str, chunk_list: ChunkList) -> SealedObject:
    """The object as a reader that allows the test suite sees it."""
    return SealedObject.verified(
        lambda offset, length: data[offset : offset + length], len(data), digest, chunk_list, allowed=TEST_SUITES
    )
