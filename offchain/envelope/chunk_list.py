"""Chunk hashes, the list of them beside an object, and the anchored digest over all (RFC 6962 section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import Tampered
from domain.identifiers import encode_bytes
from domain.merkle import HASH_BYTES, MemoryTree
from offchain.envelope.header import MAGIC
from offchain.envelope.suite import MAX_CHUNKS, TAG_BYTES, Suite

Buffer = bytes | bytearray | memoryview
_LENGTH_BYTES: Final = 8
_FIXED_BYTES: Final = _LENGTH_BYTES + HASH_BYTES


def chunk_hash(ciphertext: Buffer) -> bytes:
    """SHA-256(0x00 ‖ ciphertext): the RFC 6962 leaf hash, without a copy of the chunk."""
    digest = hashlib.sha256(b"\x00")
    digest.update(ciphertext)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class ChunkList:
    """Total length of the object, hash of its head (header and commitment), hash of every chunk."""

    total_bytes: int
    head_hash: bytes
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.hashes or len(self.hashes) > MAX_CHUNKS or not 0 < self.total_bytes < 1 << 63:
            raise Tampered("the chunk list cannot be of a sealed object", reason="chunk-list")

    def encode(self) -> bytes:
        """Total length, 8 bytes big-endian ‖ head hash ‖ chunk hashes."""
        return self.total_bytes.to_bytes(_LENGTH_BYTES, "big") + self.head_hash + b"".join(self.hashes)

    @classmethod
    def parse(cls, encoded: bytes) -> ChunkList:
        """Read a chunk list; nothing in it is trusted before :func:`anchored_digest` agrees.

        Raises:
            Tampered: its length or numbers cannot be.
        """
        if len(encoded) < _FIXED_BYTES or (len(encoded) - _FIXED_BYTES) % HASH_BYTES:
            raise Tampered("the chunk list has no possible length", reason="chunk-list")
        starts = range(_FIXED_BYTES, len(encoded), HASH_BYTES)
        return cls(
            total_bytes=int.from_bytes(encoded[:_LENGTH_BYTES], "big"),
            head_hash=encoded[_LENGTH_BYTES:_FIXED_BYTES],
            hashes=tuple(encoded[start : start + HASH_BYTES] for start in starts),
        )

    @classmethod
    def of(cls, head: bytes, total_bytes: int, hashes: Sequence[bytes]) -> ChunkList:
        """The list of an object with this head."""
        return cls(total_bytes, hashlib.sha256(head).digest(), tuple(hashes))


def anchored_digest(head: bytes, chunk_list: ChunkList) -> str:
    """SHA-256(``YLN1`` ‖ header ‖ commitment ‖ total length, 8 bytes ‖ Merkle root of the chunk ciphertexts)."""
    root = MemoryTree(chunk_list.hashes).root()
    total = chunk_list.total_bytes.to_bytes(_LENGTH_BYTES, "big")
    return encode_bytes(hashlib.sha256(MAGIC + head + total + root).digest())


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the chunks of an object lie."""

    suite: Suite
    head_bytes: int
    total_bytes: int

    def __post_init__(self) -> None:
        last = (self.total_bytes - self.head_bytes) % self.suite.sealed_chunk_bytes
        if self.total_bytes <= self.head_bytes or 0 < last <= TAG_BYTES or self.chunks > MAX_CHUNKS:
            raise Tampered("the sealed object has no possible length", reason="truncated")

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-(self.total_bytes - self.head_bytes) // self.suite.sealed_chunk_bytes)

    @property
    def plaintext_bytes(self) -> int:
        """Plaintext bytes of all chunks, preamble and padding included."""
        return self.total_bytes - self.head_bytes - self.chunks * TAG_BYTES

    def span(self, index: int) -> tuple[int, int]:
        """Offset and length of the ciphertext of chunk ``index`` within the object."""
        if not 0 <= index < self.chunks:
            raise IndexError("the object has no such chunk")
        offset = self.head_bytes + index * self.suite.sealed_chunk_bytes
        return offset, min(self.suite.sealed_chunk_bytes, self.total_bytes - offset)
