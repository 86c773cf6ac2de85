"""Sealing: STREAM over AES-256-GCM (Hoang, Reyhanitabar, Rogaway, Vizár 2015, as in the nonces of Tink and age)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from itertools import chain

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Invalid
from offchain.envelope.chunk_list import Buffer, ChunkList, anchored_digest, chunk_hash
from offchain.envelope.content import Description, PlainBytes, encode_preamble, padme
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey, ObjectKeys, derive_object_keys
from offchain.envelope.rechunk import rechunk
from offchain.envelope.sealed import SealedBytes, SealedStream
from offchain.envelope.suite import MAX_CHUNKS, TAG_BYTES, Suite


def seal(plain: PlainBytes, key: DataKey, header: Header) -> SealedBytes:
    """Seal content that is in memory. ``key`` and the header's salt are fresh for every object.

    Raises:
        Invalid: the description does not fit into the first chunk.
    """
    keys, head = _head(key, header)
    size = len(plain.content)
    preamble = encode_preamble(plain.description, size, header.suite)
    pieces = (preamble, plain.content)
    if len(preamble) + size <= header.suite.chunk_bytes:
        plaintext = b"".join(pieces).ljust(padme(len(preamble) + size), b"\x00")
        ciphertext = AESGCM(keys.file_key).encrypt(keys.nonce(0, last=True), plaintext, head)
        chunk_list = ChunkList.of(head, len(head) + len(ciphertext), [chunk_hash(ciphertext)])
        return SealedBytes(head + ciphertext, anchored_digest(head, chunk_list), chunk_list, header)
    stream = SealedStream(head, _encrypted(keys, head, rechunk(pieces, header.suite.chunk_bytes)))
    data = b"".join(stream)
    return SealedBytes(data, stream.digest, stream.chunk_list, header)


def seal_stream(
    content: Iterable[Buffer],
    description: Description,
    key: DataKey,
    header: Header,
    *,
    length: int | None = None,
    executor: Executor | None = None,
) -> SealedStream:
    """Seal content that comes in pieces, in the memory of a few chunks.

    Args:
        content: the pieces; an exception from them ends the stream, and nothing that was passed on opens as whole.
        description: media type and file name, sealed before the content.
        key: fresh for this object.
        header: with a fresh salt.
        length: bytes of the content, if known; it is then compared.
        executor: threads that hash the chunks while the next are encrypted and written.

    Raises:
        Invalid: while iterating, the content has another length than said.
    """
    keys, head = _head(key, header)
    chunks = _plain_chunks(content, description, length, header.suite)
    return SealedStream(head, _encrypted(keys, head, chunks), executor)


def _head(key: DataKey, header: Header) -> tuple[ObjectKeys, bytes]:
    encoded = header.encode()
    keys = derive_object_keys(key, header.salt, encoded)
    return keys, encoded + keys.commitment


def _encrypted(keys: ObjectKeys, head: bytes, chunks: Iterable[tuple[memoryview, bool]]) -> Iterator[Buffer]:
    """Encrypt each chunk with nonce = prefix ‖ counter ‖ last flag and associated data = header ‖ commitment."""
    cipher = AESGCM(keys.file_key)
    for index, (chunk, last) in enumerate(chunks):
        if index >= MAX_CHUNKS:
            raise Invalid("the content has too many chunks for one object", reason="too-large")
        sealed = bytearray(len(chunk) + TAG_BYTES)
        cipher.encrypt_into(keys.nonce(index, last=last), chunk, head, sealed)
        yield sealed


def _plain_chunks(
    content: Iterable[Buffer], description: Description, length: int | None, suite: Suite
) -> Iterator[tuple[memoryview, bool]]:
    """Chunks of the plaintext; where all fits into one, the length that came is written in and the rest padded."""
    preamble = encode_preamble(description, length, suite)
    plaintext_bytes = 0
    for chunk, last in rechunk(chain((preamble,), content), suite.chunk_bytes):
        plaintext_bytes += len(chunk)
        if last and length is not None and plaintext_bytes != len(preamble) + length:
            raise Invalid("the content has another length than was said", reason="length")
        if last and plaintext_bytes == len(chunk):
            exact = encode_preamble(description, plaintext_bytes - len(preamble), suite)
            padded = (exact + bytes(chunk[len(preamble) :])).ljust(padme(plaintext_bytes), b"\x00")
            yield memoryview(padded), True
        else:
            yield chunk, last
