from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid, Tampered
from domain.merkle import MemoryTree, node_hash
from offchain.envelope.chunk_list import ChunkList, anchored_digest
from offchain.envelope.content import Description, PlainBytes, encode_preamble
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey, derive_object_keys
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes, SealedStream, received
from offchain.envelope.suite import A256GCM_1M, A256GCM_64_TEST, COMMITMENT_BYTES
from offchain.envelope.unseal import unseal
from tests.unit.offchain.sealing import (
    DESCRIPTION,
    KEY,
    OBJECT_ID,
    OTHER_OBJECT_ID,
    TEST_SUITES,
    header,
    sealed_small,
    verified,
)

CONTENT = bytes(range(200))


def _open(data: bytes, digest: str, chunk_list: ChunkList, key: DataKey = KEY, object_id: str = OBJECT_ID) -> bytes:
    return unseal(verified(data, digest, chunk_list), key, object_id=object_id).whole(max_bytes=1 << 20).content


def _reason(data: bytes, digest: str, chunk_list: ChunkList, key: DataKey = KEY, object_id: str = OBJECT_ID) -> str:
    with pytest.raises(Tampered) as caught:
        _open(data, digest, chunk_list, key, object_id)
    return caught.value.reason


@given(content=st.binary(max_size=400), cut=st.integers(0, 400), known=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_sealed_opens_to_the_same_bytes_whole_and_streamed(content: bytes, cut: int, known: bool) -> None:
    whole = sealed_small(content)
    assert _open(whole.data, whole.digest, whole.chunk_list) == content
    stream = seal_stream(
        [content[:cut], content[cut:]], DESCRIPTION, KEY, header(), length=len(content) if known else None
    )
    data = b"".join(stream)
    assert _open(data, stream.digest, stream.chunk_list) == content
    if known:
        assert (data, stream.digest) == (whole.data, whole.digest)


@given(content=st.binary(max_size=400), data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_range_is_that_range_of_the_content(content: bytes, data: st.DataObject) -> None:
    sealed = sealed_small(content)
    offset = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, len(content) - offset))
    opened = unseal(verified(sealed.data, sealed.digest, sealed.chunk_list), KEY, object_id=OBJECT_ID)
    assert opened.range(offset, length) == content[offset : offset + length]
    assert opened.length == len(content)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_range_of_the_sealed_bytes_is_that_range(data: st.DataObject) -> None:
    sealed = sealed_small(CONTENT)
    offset = data.draw(st.integers(0, len(sealed.data)))
    length = data.draw(st.integers(0, len(sealed.data) - offset))
    assert (
        verified(sealed.data, sealed.digest, sealed.chunk_list).read(offset, length)
        == (sealed.data[offset : offset + length])
    )


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 201), (201, 0), (3, -1)])
def test_a_range_outside_the_content_is_invalid(offset: int, length: int) -> None:
    sealed = sealed_small(CONTENT)
    with pytest.raises(Invalid):
        unseal(verified(sealed.data, sealed.digest, sealed.chunk_list), KEY, object_id=OBJECT_ID).range(offset, length)


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, (3 << 20) - 57, 0, 1000])
def test_production_suite_with_hashing_threads_gives_the_same_object(size: int) -> None:
    content = hashlib.shake_128(b"content").digest(size)
    plain = PlainBytes(content, Description("application/dicom", "IM0001"))
    sealed = seal(plain, KEY, header(suite=A256GCM_1M))
    with ThreadPoolExecutor(2) as executor:
        stream = seal_stream(
            iter([content]), plain.description, KEY, header(suite=A256GCM_1M), length=size, executor=executor
        )
        data = b"".join(bytes(piece) for piece in stream)
    assert (data, stream.digest, stream.chunk_list) == (sealed.data, sealed.digest, sealed.chunk_list)
    opened = unseal(sealed.verified(sealed.digest), KEY, object_id=OBJECT_ID)
    assert opened.whole(max_bytes=size) == plain
    assert opened.description.file_name == "IM0001"


def test_production_readers_refuse_the_test_suite() -> None:
    sealed = sealed_small(b"x")
    with pytest.raises(Invalid) as caught:
        sealed.verified(sealed.digest)
    assert caught.value.reason == "suite"
    with pytest.raises(Invalid):
        SealedBytes.of(sealed.data)


def test_flipping_any_bit_is_rejected_with_its_kind() -> None:
    sealed = sealed_small(CONTENT)
    head = verified(sealed.data, sealed.digest, sealed.chunk_list).geometry.head_bytes
    for position in range(len(sealed.data)):
        for bit in range(8):
            data = bytearray(sealed.data)
            data[position] ^= 1 << bit
            expected = "header-altered" if position < head else "chunk-altered"
            assert _reason(bytes(data), sealed.digest, sealed.chunk_list) == expected, (position, bit)


def test_flipping_any_bit_of_the_chunk_list_is_laid_to_the_list() -> None:
    sealed = sealed_small(CONTENT)
    encoded = sealed.chunk_list.encode()
    for position in range(len(encoded)):
        for bit in range(8):
            altered = bytearray(encoded)
            altered[position] ^= 1 << bit
            with pytest.raises(Tampered) as caught:  # already when it is read, if it is a length that no object has
                _open(sealed.data, sealed.digest, ChunkList.parse(bytes(altered)))
            assert caught.value.reason == "chunk-list", (position, bit)


def test_truncation_at_every_length_is_rejected_as_truncated() -> None:
    sealed = sealed_small(CONTENT)
    for length in range(len(sealed.data)):
        assert _reason(sealed.data[:length], sealed.digest, sealed.chunk_list) == "truncated", length


def test_anything_behind_the_end_is_trailing() -> None:
    sealed = sealed_small(CONTENT)
    for more in (b"\x00", bytes(79), bytes(80), bytes(200)):
        assert _reason(sealed.data + more, sealed.digest, sealed.chunk_list) == "trailing"


def test_swapped_chunks_are_rejected() -> None:
    sealed = sealed_small(CONTENT)
    geometry = verified(sealed.data, sealed.digest, sealed.chunk_list).geometry
    (first, size), (second, _) = geometry.span(0), geometry.span(1)
    data = bytearray(sealed.data)
    data[first : first + size], data[second : second + size] = (
        sealed.data[second : second + size],
        sealed.data[first : first + size],
    )
    assert _reason(bytes(data), sealed.digest, sealed.chunk_list) == "chunk-altered"
    hashes = sealed.chunk_list.hashes
    both = ChunkList(sealed.chunk_list.total_bytes, sealed.chunk_list.head_hash, (hashes[1], hashes[0], *hashes[2:]))
    assert _reason(bytes(data), sealed.digest, both) == "not-anchored"
    head = sealed.data[: geometry.head_bytes]
    assert _reason(bytes(data), anchored_digest(head, both), both) == "chunk-altered"


def test_a_swapped_header_is_rejected() -> None:
    sealed, other = sealed_small(CONTENT), sealed_small(CONTENT, object_id=OTHER_OBJECT_ID)
    head = verified(sealed.data, sealed.digest, sealed.chunk_list).geometry.head_bytes
    data = other.data[:head] + sealed.data[head:]
    assert _reason(data, sealed.digest, sealed.chunk_list) == "header-altered"


def test_another_object_in_its_place_is_rejected() -> None:
    sealed, other = sealed_small(CONTENT), sealed_small(CONTENT, object_id=OTHER_OBJECT_ID)
    assert _reason(other.data, sealed.digest, other.chunk_list) == "not-anchored"
    assert _reason(other.data, other.digest, other.chunk_list) == "other-object"


def test_a_wrong_key_is_named_before_anything_is_opened() -> None:
    sealed = sealed_small(CONTENT)
    assert _reason(sealed.data, sealed.digest, sealed.chunk_list, DataKey(bytes(32))) == "wrong-key"


def test_a_ciphertext_that_opens_under_two_keys_is_stopped_by_the_commitment() -> None:
    """AES-GCM does not commit to its key: whoever knows two keys makes one body that both open."""
    head = header().encode()
    first, second = DataKey(b"\x01" * 32), DataKey(b"\x02" * 32)
    keys = derive_object_keys(first, bytes(32), head)
    assert keys.commitment != derive_object_keys(second, bytes(32), head).commitment
    forged = head + keys.commitment
    body = AESGCM(derive_object_keys(second, bytes(32), head).file_key).encrypt(
        derive_object_keys(second, bytes(32), head).nonce(0, last=True), b"what the second key shows", forged
    )
    sealed = SealedBytes.of(forged + body, TEST_SUITES)
    assert _reason(sealed.data, sealed.digest, sealed.chunk_list, second) == "wrong-key"
    assert _reason(sealed.data, sealed.digest, sealed.chunk_list, first) == "chunk-altered"


def test_a_forger_who_holds_the_data_key_is_caught_by_list_and_digest() -> None:
    sealed = sealed_small(CONTENT)
    forged = sealed_small(CONTENT[::-1])
    assert len(forged.data) == len(sealed.data)
    assert _reason(forged.data, sealed.digest, sealed.chunk_list) == "chunk-altered"
    assert _reason(forged.data, sealed.digest, forged.chunk_list) == "not-anchored"
    assert _open(forged.data, forged.digest, forged.chunk_list) == CONTENT[::-1]


def test_a_chunk_altered_after_the_list_was_verified_is_not_released() -> None:
    sealed = sealed_small(CONTENT)
    data = bytearray(sealed.data)
    opened = unseal(
        type(verified(sealed.data, sealed.digest, sealed.chunk_list)).verified(
            lambda offset, length: bytes(data[offset : offset + length]),
            len(data),
            sealed.digest,
            sealed.chunk_list,
            allowed=TEST_SUITES,
        ),
        KEY,
        object_id=OBJECT_ID,
    )
    data[-1] ^= 1
    released = bytearray()
    with pytest.raises(Tampered) as caught:
        deque(map(released.extend, opened.stream()), maxlen=0)
    assert caught.value.place == "chunk[4]"
    assert 0 < len(released) < len(CONTENT)
    assert CONTENT.startswith(bytes(released))
    with pytest.raises(Tampered):
        opened.whole(max_bytes=1000)
    assert opened.range(0, 10) == CONTENT[:10]


def test_small_objects_of_near_lengths_look_alike() -> None:
    near = {
        len(seal(PlainBytes(bytes(size), DESCRIPTION), KEY, header(suite=A256GCM_1M)).data)
        for size in range(2048 - 53, 2048)
    }
    assert len(near) <= 2


@pytest.mark.parametrize("position", [0, 7, 11, 12, -1])
def test_a_holder_of_the_key_cannot_hide_bytes_in_preamble_or_padding(position: int) -> None:
    plain = bytearray(_plaintext_of(sealed_small(b"abc")))
    plain[position] ^= 0x40
    forged = _sealed_raw(bytes(plain))
    assert _reason(forged.data, forged.digest, forged.chunk_list) == "preamble"


def _plaintext_of(sealed: SealedBytes) -> bytes:
    keys = derive_object_keys(KEY, bytes(32), header().encode())
    head = header().encode() + keys.commitment
    return AESGCM(keys.file_key).decrypt(keys.nonce(0, last=True), sealed.data[len(head) :], head)


def _sealed_raw(plaintext: bytes) -> SealedBytes:
    """What a holder of the key can make by hand, against the rules for the plaintext."""
    keys = derive_object_keys(KEY, bytes(32), header().encode())
    head = header().encode() + keys.commitment
    chunks = [plaintext[start : start + 64] for start in range(0, len(plaintext), 64)]
    body = b"".join(
        AESGCM(keys.file_key).encrypt(keys.nonce(index, last=index == len(chunks) - 1), chunk, head)
        for index, chunk in enumerate(chunks)
    )
    return SealedBytes.of(head + body, TEST_SUITES)


@pytest.mark.parametrize("length", [0, 6, 199, 201, 1 << 40])
def test_a_holder_of_the_key_cannot_seal_another_length_than_the_content_has(length: int) -> None:
    preamble = encode_preamble(DESCRIPTION, length, A256GCM_64_TEST)
    forged = _sealed_raw(preamble + CONTENT)
    assert _reason(forged.data, forged.digest, forged.chunk_list) == "preamble"
    honest = _sealed_raw(encode_preamble(DESCRIPTION, 200, A256GCM_64_TEST) + CONTENT)
    assert _open(honest.data, honest.digest, honest.chunk_list) == CONTENT


def test_a_list_of_inner_nodes_of_the_tree_is_not_taken_for_chunk_hashes() -> None:
    """The root, and so the digest, would be the same; the number of chunks is not."""
    sealed = sealed_small(CONTENT)
    hashes = sealed.chunk_list.hashes
    assert len(hashes) == 5
    head = verified(sealed.data, sealed.digest, sealed.chunk_list).head
    pair = node_hash(hashes[0], hashes[1]), node_hash(hashes[2], hashes[3])
    for fewer in ((*pair, hashes[4]), (node_hash(*pair), hashes[4]), (MemoryTree(hashes).root(),)):
        listed = replace(sealed.chunk_list, hashes=fewer)
        assert anchored_digest(head, listed) == sealed.digest
        assert _reason(sealed.data, sealed.digest, listed) == "chunk-list"


@pytest.mark.parametrize("rest", range(1, 17))
def test_an_object_that_ends_within_a_tag_is_not_taken(rest: int) -> None:
    sealed = sealed_small(CONTENT)
    end = verified(sealed.data, sealed.digest, sealed.chunk_list).geometry.span(1)[0]
    with pytest.raises(Tampered) as caught:
        SealedBytes.of(sealed.data[: end + rest], TEST_SUITES)
    assert caught.value.reason == "truncated"


class LazyFuture(Future[Any]):
    """Works only when asked for its result."""

    def __init__(self, executor: LazyExecutor, work: Callable[[], Any]) -> None:
        super().__init__()
        self._executor, self._work = executor, work

    def result(self, timeout: float | None = None) -> Any:
        self._executor.waiting -= 1
        return self._work()


class LazyExecutor(Executor):
    """Never gets to its work by itself, as under load, and counts what waits."""

    def __init__(self) -> None:
        self.waiting = self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        return LazyFuture(self, lambda: fn(*args, **kwargs))


def test_slow_hashing_threads_hold_few_chunks_in_memory() -> None:
    executor = LazyExecutor()
    stream = seal_stream([bytes(64 * 50)], DESCRIPTION, KEY, header(), executor=executor)
    data = b"".join(stream)
    assert executor.waiting == 0
    assert 1 < executor.most <= 5
    assert stream.digest == SealedBytes.of(data, TEST_SUITES).digest


def test_a_stream_of_another_length_than_said_fails() -> None:
    for content in (b"abc", CONTENT):
        with pytest.raises(Invalid) as caught:
            list(seal_stream([content], DESCRIPTION, KEY, header(), length=4))
        assert caught.value.reason == "length"


def test_a_stream_is_taken_once_and_has_no_digest_before_its_end() -> None:
    stream = seal_stream([CONTENT], DESCRIPTION, KEY, header())
    with pytest.raises(ValueError, match="not at its end"):
        _ = stream.digest
    list(stream)
    with pytest.raises(ValueError, match="only once"):
        list(stream)


@given(step=st.integers(1, 500))
@settings(max_examples=30, deadline=None)
def test_an_object_received_in_pieces_has_the_digest_of_the_whole(step: int) -> None:
    sealed = sealed_small(CONTENT)
    pieces = [sealed.data[start : start + step] for start in range(0, len(sealed.data), step)]
    stream = received(pieces, max_bytes=1 << 20, allowed=TEST_SUITES)
    assert b"".join(stream) == sealed.data
    assert (stream.digest, stream.chunk_list) == (sealed.digest, sealed.chunk_list)


def test_received_bytes_are_bounded() -> None:
    sealed = sealed_small(CONTENT)
    stream = received(iter([sealed.data[:300], sealed.data[300:]]), max_bytes=len(sealed.data) - 1, allowed=TEST_SUITES)
    with pytest.raises(Invalid) as caught:
        list(stream)
    assert caught.value.reason == "too-large"


def test_bytes_that_are_no_sealed_object_are_not_taken() -> None:
    for data in (b"", b"YLN1", b"YLN2" + bytes(100), b"YLN1\xff\xff\xff\xff", b"plain text of some length"):
        with pytest.raises((Invalid, Tampered)):
            SealedBytes.of(data)
        with pytest.raises((Invalid, Tampered)):
            list(received([data], max_bytes=1000))


def test_a_header_in_another_spelling_is_refused() -> None:
    encoded = header(suite=A256GCM_1M).encode()
    spaced = encoded[8:].replace(b":", b": ")
    for text in (spaced, encoded[8:-1] + b',"x":1}', b"{}", b"[]"):
        with pytest.raises(Invalid):
            Header.parse(b"YLN1" + len(text).to_bytes(4, "big") + text)
    assert Header.parse(encoded) == header(suite=A256GCM_1M)


def test_no_key_and_no_content_shows_in_a_repr() -> None:
    secret, content = bytes(range(65, 97)), b"secret content of the patient"
    key = DataKey(secret)
    plain = PlainBytes(content, Description("text/plain", "name-of-patient.txt"))
    sealed = seal(plain, key, header(suite=A256GCM_1M))
    opened = unseal(sealed.verified(sealed.digest), key, object_id=OBJECT_ID)
    keys = derive_object_keys(key, bytes(32), header().encode())
    for value in (key, plain, sealed, opened, keys, [key], {"k": key}):
        shown = repr(value) + str(value) + f"{value}"
        for hidden in (secret.decode(), secret.hex(), "secret content", "name-of-patient", str(keys.file_key)[2:-1]):
            assert hidden not in shown
    with pytest.raises(TypeError):
        key.__reduce__()
    with pytest.raises(TypeError):
        hash(key)


def test_an_exception_of_the_source_reaches_the_caller() -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise OSError("the source broke")

    stream: SealedStream = seal_stream(broken(), DESCRIPTION, KEY, header())
    with pytest.raises(OSError, match="the source broke"):
        list(stream)


def test_the_head_is_header_and_commitment_only() -> None:
    sealed = sealed_small(b"x")
    parsed = verified(sealed.data, sealed.digest, sealed.chunk_list)
    assert parsed.head == header().encode() + parsed.commitment
    assert len(parsed.commitment) == COMMITMENT_BYTES
    assert parsed.header.suite is A256GCM_64_TEST
