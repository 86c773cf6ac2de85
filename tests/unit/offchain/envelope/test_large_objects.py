"""Objects of the production suite: every bit of head, tags and hashes, and ten thousand others, is guarded."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from domain.errors import Tampered
from offchain.envelope.chunk_list import ChunkList, anchored_digest, chunk_hash
from offchain.envelope.content import PlainBytes
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedObject
from offchain.envelope.suite import A256GCM_1M, TAG_BYTES
from offchain.envelope.unseal import unseal
from tests.faults.counts import repetitions
from tests.unit.offchain.sealing import DESCRIPTION, KEY, OBJECT_ID, header

CHUNK_BYTES: Final = A256GCM_1M.chunk_bytes
RANDOM_BITS: Final = repetitions(10_000, 100_000)
CONTENT: Final = Random(1).randbytes(CHUNK_BYTES + 5000)  # noqa: S311 - repeatable on purpose
SEALED: Final = seal(PlainBytes(CONTENT, DESCRIPTION), KEY, header(suite=A256GCM_1M))


class Altered:
    """The object's bytes, in which one bit at a time is flipped."""

    def __init__(self) -> None:
        self.data = bytearray(SEALED.data)

    def verified(self, chunk_list: ChunkList = SEALED.chunk_list, digest: str = SEALED.digest) -> SealedObject:
        view = memoryview(self.data)
        return SealedObject.verified(
            lambda offset, length: view[offset : offset + length], len(self.data), digest, chunk_list
        )

    def flip(self, bit: int) -> None:
        self.data[bit // 8] ^= 1 << bit % 8


@pytest.fixture
def altered() -> Altered:
    return Altered()


def bits(begin: int, end: int) -> range:
    return range(begin * 8, end * 8)


def test_every_bit_of_header_and_commitment_is_guarded(altered: Altered) -> None:
    for bit in bits(0, altered.verified().geometry.head_bytes):
        altered.flip(bit)
        with pytest.raises(Tampered) as caught:
            altered.verified()
        assert caught.value.reason == "header-altered", bit
        altered.flip(bit)
    altered.verified()


def test_every_bit_of_the_chunk_hashes_is_guarded(altered: Altered) -> None:
    encoded = bytearray(SEALED.chunk_list.encode())
    for bit in bits(0, len(encoded)):
        encoded[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Tampered) as caught:
            altered.verified(ChunkList.parse(bytes(encoded)))
        assert caught.value.reason == "chunk-list", bit
        encoded[bit // 8] ^= 1 << bit % 8


def test_every_bit_of_every_tag_is_guarded_by_hash_and_by_cipher(altered: Altered) -> None:
    sealed = altered.verified()
    for index in range(sealed.geometry.chunks):
        offset, length = sealed.geometry.span(index)
        for bit in bits(offset + length - TAG_BYTES, offset + length):
            altered.flip(bit)
            with pytest.raises(Tampered) as caught:
                sealed.chunk(index)
            assert (caught.value.reason, caught.value.place) == ("chunk-altered", f"chunk[{index}]")
            assert cipher_refuses(altered, index), bit
            altered.flip(bit)


@pytest.mark.slow
def test_ten_thousand_random_bits_are_guarded(altered: Altered) -> None:
    sealed = altered.verified()
    random = Random(20260301)  # noqa: S311 - repeatable on purpose
    step, head = A256GCM_1M.sealed_chunk_bytes, sealed.geometry.head_bytes
    for number in range(RANDOM_BITS):
        bit = random.randrange(head * 8, len(altered.data) * 8)
        index = (bit // 8 - head) // step
        altered.flip(bit)
        with pytest.raises(Tampered) as caught:
            sealed.chunk(index)
        assert caught.value.reason == "chunk-altered", bit
        if number % 100 == 0:
            assert cipher_refuses(altered, index), bit
        altered.flip(bit)
    assert bytes(altered.data) == SEALED.data


def test_truncations_around_every_boundary_are_refused() -> None:
    sealed = Altered().verified()
    ends = {0, len(SEALED.data)} | {sealed.geometry.span(index)[0] for index in range(sealed.geometry.chunks)}
    for length in sorted({end + step for end in ends for step in range(-TAG_BYTES - 1, TAG_BYTES + 2)}):
        if 0 <= length < len(SEALED.data):
            cut = Altered()
            del cut.data[length:]
            with pytest.raises(Tampered) as caught:
                cut.verified()
            assert caught.value.reason == "truncated", length


def cipher_refuses(altered: Altered, index: int) -> bool:
    """True if the chunk does not open although list and digest were made to fit it, as a forger would."""
    geometry = Altered().verified().geometry
    offset, length = geometry.span(index)
    hashes = list(SEALED.chunk_list.hashes)
    hashes[index] = chunk_hash(bytes(altered.data[offset : offset + length]))
    forged = ChunkList(SEALED.chunk_list.total_bytes, SEALED.chunk_list.head_hash, tuple(hashes))
    digest = anchored_digest(bytes(altered.data[: geometry.head_bytes]), forged)
    sealed = altered.verified(forged, digest)
    with pytest.raises(Tampered) as caught:
        unseal(sealed, KEY, object_id=OBJECT_ID).whole(max_bytes=len(CONTENT))
    return (caught.value.reason, caught.value.place) == ("chunk-altered", f"chunk[{index}]")
