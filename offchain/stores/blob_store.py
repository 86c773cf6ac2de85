"""The port of every store of sealed objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is durable in the store."""

    digest: str
    total_bytes: int


class BlobStore(Protocol):
    """Keeps sealed objects by anchored digest; everything that it returns was verified against that digest.

    Every method raises ``Unavailable`` where the medium fails, is full or cannot be reached, with nothing half done;
    every read raises ``NotFound`` for an unknown digest and ``Tampered``, naming the digest, for altered bytes.
    """

    def put(self, sealed: SealedBytes | SealedStream, *, digest: str | None = None) -> Stored:
        """Store one object durably; an object that is there already is a success.

        Raises:
            Tampered: the object has not the ``digest`` that was expected; nothing is stored.
        """

    def put_many(self, sealed: Sequence[SealedBytes]) -> list[Stored]:
        """Store many small objects with few waits for the medium; all are durable on return."""

    def get(self, digest: str) -> AbstractContextManager[SealedObject]:
        """Open an object: head and chunk list verified at once, each chunk as it is read."""

    def get_range(self, digest: str, offset: int, length: int) -> bytes:
        """A range of the sealed bytes, every chunk that it touches verified."""

    def exists(self, digest: str) -> bool:
        """True if the object is there; says nothing about its bytes."""

    def delete(self, digest: str) -> bool:
        """Remove an object and its chunk list; false if there was none."""

    def digests(self) -> Iterator[str]:
        """All digests, in no order; objects that come or go meanwhile may be missed."""

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        """Remove what nobody refers to and nobody put within 24 hours; return the digests."""
