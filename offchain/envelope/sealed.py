"""Sealed objects as they are held: whole in memory, as a stream, or behind a reader."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from offchain.envelope.chunk_list import Buffer, ChunkList, Geometry, anchored_digest, chunk_hash
from offchain.envelope.header import Header, head_bytes
from offchain.envelope.rechunk import rechunk
from offchain.envelope.suite import COMMITMENT_BYTES, PRODUCTION_SUITES, Suite

ReadAt = Callable[[int, int], Buffer]
"""Reads ``length`` bytes at ``offset``; fewer only at the end of what there is."""

Elsewhere = Callable[[int, YilianError], Buffer]
"""Gives a chunk, verified, from another copy, or raises; told why the first copy did not."""

_HASHES_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class SealedBytes:
    """One sealed object whole in memory, with its chunk list and digest computed from these very bytes."""

    data: bytes = field(repr=False)
    digest: str
    chunk_list: ChunkList = field(repr=False)
    header: Header = field(repr=False)

    @classmethod
    def of(cls, data: bytes, allowed: Sequence[Suite] = PRODUCTION_SUITES) -> SealedBytes:
        """Take bytes from outside; they are what they are, compare ``digest`` with the anchored one.

        Raises:
            Invalid: not a sealed object of an accepted suite.
            Tampered: its length cannot be.
        """
        size = head_bytes(data[:8])
        header = Header.parse(data[: size - COMMITMENT_BYTES], allowed)
        geometry = Geometry(header.suite, size, len(data))
        view = memoryview(data)
        spans = (geometry.span(index) for index in range(geometry.chunks))
        hashes = [chunk_hash(view[offset : offset + length]) for offset, length in spans]
        chunk_list = ChunkList.of(data[:size], len(data), hashes)
        return cls(data, anchored_digest(data[:size], chunk_list), chunk_list, header)

    def verified(self, digest: str, allowed: Sequence[Suite] = PRODUCTION_SUITES) -> SealedObject:
        """The object for reading, if these bytes are the anchored ones.

        Raises:
            Tampered: they are not.
        """
        if self.digest != digest or self.header.suite not in allowed:
            return SealedObject.verified(self.read_at, len(self.data), digest, self.chunk_list, allowed=allowed)
        head = self.data[: head_bytes(self.data[:8])]
        geometry = Geometry(self.header.suite, len(head), len(self.data))
        return SealedObject(digest, self.header, head, self.chunk_list, geometry, self.read_at, _hashed=True)

    def read_at(self, offset: int, length: int) -> memoryview:
        """The bytes of one range."""
        return memoryview(self.data)[offset : offset + length]


class SealedStream:
    """The pieces of one sealed object, passed on once in order, hashed on the way.

    Only the sealer and :func:`received` make one, so who takes a ``SealedStream`` cannot be handed plaintext. A piece
    is valid until the next is asked for. ``chunk_list`` and ``digest`` exist once all pieces are taken.
    """

    __slots__ = ("_chunks", "_digest", "_executor", "_list", "_taken", "head")

    def __init__(self, head: bytes, chunks: Iterable[Buffer], executor: Executor | None = None) -> None:
        self.head = head
        self._chunks = chunks
        self._executor = executor
        self._taken = False
        self._list: ChunkList | None = None
        self._digest = ""

    def __iter__(self) -> Iterator[Buffer]:
        if self._taken:
            raise ValueError("a sealed stream is taken only once")
        self._taken = True
        yield self.head
        hashes: list[bytes] = []
        total = len(self.head)
        pending: deque[Future[bytes]] = deque()
        for chunk in self._chunks:
            total += len(chunk)
            if self._executor is None:
                hashes.append(chunk_hash(chunk))
            else:
                if len(pending) == _HASHES_IN_FLIGHT:
                    hashes.append(pending.popleft().result())
                pending.append(self._executor.submit(chunk_hash, chunk))
            yield chunk
        hashes.extend(future.result() for future in pending)
        self._list = ChunkList.of(self.head, total, hashes)
        self._digest = anchored_digest(self.head, self._list)

    @property
    def chunk_list(self) -> ChunkList:
        """The list of chunk hashes.

        Raises:
            ValueError: not all pieces were taken.
        """
        if self._list is None:
            raise ValueError("the sealed stream is not at its end")
        return self._list

    @property
    def digest(self) -> str:
        """The anchored digest.

        Raises:
            ValueError: not all pieces were taken.
        """
        if self._list is None:
            raise ValueError("the sealed stream is not at its end")
        return self._digest


def received(
    pieces: Iterable[Buffer],
    *,
    max_bytes: int,
    allowed: Sequence[Suite] = PRODUCTION_SUITES,
    executor: Executor | None = None,
) -> SealedStream:
    """A sealed object that arrives in pieces of any size; its digest is compared by whoever takes it.

    Raises:
        Invalid: no header of an accepted suite at its begin; later, while iterating, longer than ``max_bytes``.
    """
    source = _bounded(pieces, max_bytes)
    start = bytearray()
    for piece in source:
        start += piece
        if len(start) >= 8 and len(start) >= head_bytes(bytes(start[:8])):
            break
    size = head_bytes(bytes(start[:8]))
    if len(start) < size:
        raise Tampered("the sealed object ends within its header", reason="truncated")
    head = bytes(start[:size])
    suite = Header.parse(head[: size - COMMITMENT_BYTES], allowed).suite
    return SealedStream(head, _copies(_joined(start[size:], source), suite.sealed_chunk_bytes), executor)


def _joined(first: Buffer, rest: Iterable[Buffer]) -> Iterator[Buffer]:
    yield first
    yield from rest


def _copies(pieces: Iterable[Buffer], size: int) -> Iterator[Buffer]:
    for chunk, _ in rechunk(pieces, size):
        yield bytes(chunk)


def _bounded(pieces: Iterable[Buffer], max_bytes: int) -> Iterator[Buffer]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > max_bytes:
            raise Invalid(f"the sealed object is longer than {max_bytes} bytes", reason="too-large")
        yield piece


@dataclass(frozen=True, slots=True)
class SealedObject:
    """A sealed object whose head, length and chunk list agree with its digest; chunks are verified as they are read."""

    digest: str
    header: Header
    head: bytes = field(repr=False)
    chunk_list: ChunkList = field(repr=False)
    geometry: Geometry = field(repr=False)
    _read_at: ReadAt = field(repr=False)
    _hashed: bool = field(default=False, repr=False)
    """The chunk list was computed from the bytes in memory that the reader gives: no need to hash them again."""
    _elsewhere: Elsewhere | None = field(default=None, repr=False)

    @classmethod
    def verified(
        cls,
        read_at: ReadAt,
        total_bytes: int,
        digest: str,
        chunk_list: ChunkList,
        *,
        allowed: Sequence[Suite] = PRODUCTION_SUITES,
    ) -> SealedObject:
        """Verify head, length and chunk list against the anchored digest.

        Raises:
            Tampered: they do not agree; ``reason`` says what is at fault, ``place`` names the digest or the chunk.
            Invalid: the object is genuine, of a suite that is not accepted here.
        """
        try:
            size = head_bytes(bytes(read_at(0, 8)))
            head = bytes(read_at(0, size))
        except Invalid:
            size, head = 0, b""
        agrees = (total_bytes, hashlib.sha256(head).digest()) == (chunk_list.total_bytes, chunk_list.head_hash)
        if not agrees or anchored_digest(head, chunk_list) != digest:
            raise _blame(read_at, total_bytes, head, digest=digest, listed=chunk_list, allowed=allowed)
        header = Header.parse(head[: size - COMMITMENT_BYTES], allowed)
        geometry = Geometry(header.suite, size, total_bytes)
        if geometry.chunks != len(chunk_list.hashes):
            raise Tampered("the chunk list has not one hash per chunk", reason="chunk-list", place=digest)
        return cls(digest, header, head, chunk_list, geometry, read_at)

    @property
    def commitment(self) -> bytes:
        """The key commitment."""
        return self.head[-COMMITMENT_BYTES:]

    def or_elsewhere(self, elsewhere: Elsewhere) -> SealedObject:
        """The same object, which asks ``elsewhere`` for a chunk that its own reader does not give well."""
        return replace(self, _elsewhere=elsewhere)

    def chunk(self, index: int) -> Buffer:
        """The ciphertext of one chunk, verified against the chunk list.

        Raises:
            Tampered: it is not what was anchored.
        """
        try:
            return self._own_chunk(index)
        except (NotFound, Tampered, Unavailable) as error:
            if self._elsewhere is None:
                raise
            return self._elsewhere(index, error)

    def _own_chunk(self, index: int) -> Buffer:
        offset, length = self.geometry.span(index)
        ciphertext = self._read_at(offset, length)
        if not self._hashed and chunk_hash(ciphertext) != self.chunk_list.hashes[index]:
            kind = "truncated" if len(ciphertext) < length else "chunk-altered"
            raise Tampered(
                f"a chunk of the sealed object {self.digest} was altered", reason=kind, place=f"chunk[{index}]"
            )
        return ciphertext

    def pieces(self) -> Iterator[Buffer]:
        """Head and verified chunks in order: the sealed bytes, for a copy or another hospital."""
        yield self.head
        for index in range(self.geometry.chunks):
            yield self.chunk(index)

    def read(self, offset: int, length: int) -> bytes:
        """A range of the sealed bytes; every chunk that it touches is verified.

        Raises:
            Invalid: the range is not within the object.
            Tampered: a chunk is not what was anchored.
        """
        end = offset + length
        if not 0 <= offset <= end <= self.geometry.total_bytes:
            raise Invalid("the range is not within the sealed object", reason="range")
        if offset == end:
            return b""
        begin_of_body, step = self.geometry.head_bytes, self.geometry.suite.sealed_chunk_bytes
        parts: list[Buffer] = [self.head[offset:end]]
        first = max(offset - begin_of_body, 0) // step
        for index in range(first, -(-max(end - begin_of_body, 0) // step)):
            start, _ = self.geometry.span(index)
            parts.append(self.chunk(index)[max(offset - start, 0) : end - start])
        return b"".join(parts)

    def whole(self) -> SealedBytes:
        """The object in memory, all verified."""
        return SealedBytes(b"".join(self.pieces()), self.digest, self.chunk_list, self.header)


def _blame(
    read_at: ReadAt, size: int, head: bytes, *, digest: str, listed: ChunkList, allowed: Sequence[Suite]
) -> Tampered:
    """Say what is at fault, by hashing what is there; slow, and only on the way to an alarm."""
    if _body_fits(read_at, size, head, digest, allowed):
        return Tampered("the chunk list was altered, the object was not", reason="chunk-list", place=digest)
    if size != listed.total_bytes:
        kind = "truncated" if size < listed.total_bytes else "trailing"
        return Tampered("the sealed object has not the length of its chunk list", reason=kind, place=digest)
    if hashlib.sha256(head).digest() != listed.head_hash:
        return Tampered("the header or key commitment was altered", reason="header-altered", place=digest)
    return Tampered("this is another object than the anchored one", reason="not-anchored", place=digest)


def _body_fits(read_at: ReadAt, size: int, head: bytes, digest: str, allowed: Sequence[Suite]) -> bool:
    """True if the object is the anchored one whatever its chunk list says."""
    try:
        geometry = Geometry(Header.parse(head[:-COMMITMENT_BYTES], allowed).suite, len(head), size)
    except (Invalid, Tampered):
        return False
    hashes = [chunk_hash(read_at(*geometry.span(index))) for index in range(geometry.chunks)]
    return anchored_digest(head, ChunkList.of(head, size, hashes)) == digest
