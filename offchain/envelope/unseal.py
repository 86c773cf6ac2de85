"""Opening sealed objects: all at once, as a stream, or by range; only verified chunks are ever released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Invalid, Tampered
from offchain.envelope.content import Description, PlainBytes, Preamble, content_length
from offchain.envelope.keys import DataKey, ObjectKeys, derive_object_keys, verify_commitment
from offchain.envelope.sealed import SealedObject
from offchain.envelope.suite import COMMITMENT_BYTES


@dataclass(frozen=True, slots=True)
class OpenedObject:
    """A sealed object with its key: the commitment held, the preamble is read, content comes on demand."""

    description: Description
    length: int
    _sealed: SealedObject = field(repr=False)
    _keys: ObjectKeys = field(repr=False)
    _preamble_bytes: int = field(repr=False)
    _first: memoryview = field(repr=False)

    def whole(self, *, max_bytes: int) -> PlainBytes:
        """The whole content; nothing is returned until all of it is verified.

        Raises:
            Invalid: longer than ``max_bytes``.
            Tampered: any chunk is not what was anchored.
        """
        if self.length > max_bytes:
            raise Invalid(f"the content is longer than {max_bytes} bytes", reason="too-large")
        return PlainBytes(b"".join(self.stream()), self.description)

    def stream(self, begin: int = 0, end: int | None = None) -> Iterator[memoryview]:
        """The content, or a part of it, chunk by chunk, each verified before it is released.

        Raises:
            Invalid: the part is not within the content.
            Tampered: while iterating; what was released before is genuine, but the content is not complete.
        """
        end = self.length if end is None else end
        if not 0 <= begin <= end <= self.length:
            raise Invalid("the range is not within the content", reason="range")
        return self._content(begin, end)

    def range(self, offset: int, length: int) -> bytes:
        """A range of the content, all chunks that it touches verified.

        Raises:
            Invalid: the range is not within the content.
            Tampered: a chunk is not what was anchored.
        """
        return b"".join(self.stream(offset, offset + length))

    def _content(self, begin: int, end: int) -> Iterator[memoryview]:
        if begin == end:
            return
        step = self._sealed.header.suite.chunk_bytes
        begin, end = begin + self._preamble_bytes, end + self._preamble_bytes
        for index in range(begin // step, -(-end // step)):
            chunk = _open_chunk(self._sealed, self._keys, index) if index else self._first
            yield chunk[max(begin - index * step, 0) : end - index * step]


def unseal(sealed: SealedObject, key: DataKey, *, object_id: str) -> OpenedObject:
    """Open an object whose digest was verified with the key of the object that is expected.

    Raises:
        Tampered: ``other-object``, ``wrong-key``, ``chunk-altered``, ``preamble``.
    """
    keys = verify_key(sealed, key, object_id=object_id)
    first = _open_chunk(sealed, keys, 0)
    preamble = Preamble.parse(first)
    geometry = sealed.geometry
    length = content_length(preamble, geometry.plaintext_bytes, first, single=geometry.chunks == 1)
    return OpenedObject(preamble.description, length, sealed, keys, preamble.size, first)


def verify_key(sealed: SealedObject, key: DataKey, *, object_id: str) -> ObjectKeys:
    """Verify that a data key is the one that an object commits to; done before every re-wrap too.

    Raises:
        Tampered: the header is of another object (``other-object``), or the key of another (``wrong-key``).
    """
    if sealed.header.object_id != object_id:
        raise Tampered("the header is of another object", reason="other-object", place=object_id)
    keys = derive_object_keys(key, sealed.header.salt, sealed.head[:-COMMITMENT_BYTES])
    verify_commitment(keys, sealed.commitment)
    return keys


def _open_chunk(sealed: SealedObject, keys: ObjectKeys, index: int) -> memoryview:
    ciphertext = sealed.chunk(index)
    last = index == sealed.geometry.chunks - 1
    cipher, nonce = AESGCM(keys.file_key), keys.nonce(index, last=last)
    try:
        return memoryview(cipher.decrypt(nonce, ciphertext, sealed.head))
    except InvalidTag:
        detail = f"a chunk of the sealed object {sealed.digest} does not open under its key"
        raise Tampered(detail, reason="chunk-altered", place=f"chunk[{index}]") from None
