"""Copying sealed objects from one store to another, every byte verified on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.errors import NotFound
from offchain.envelope.sealed import SealedBytes, received
from offchain.stores import SealedStore

SMALL_BYTES: Final = 1 << 20
BATCH_BYTES: Final = 32 << 20
BATCH_OBJECTS: Final = 1_000


def copy_objects(source: SealedStore, target: SealedStore, digests: Iterable[str]) -> tuple[str, ...]:
    """Copy objects durably, small ones in batches; what is there already is not copied again.

    Returns:
        The digests that the source has not.

    Raises:
        Tampered: an object was altered; those before it are copied.
        Unavailable: a disk failed or is full.
    """
    missing, small, waiting_bytes = list[str](), list[SealedBytes](), 0
    for digest in digests:
        if target.exists(digest):
            continue
        try:
            one = _copied(source, target, digest)
        except NotFound:
            missing.append(digest)
            continue
        if one is not None:
            small.append(one)
            waiting_bytes += len(one.data)
        if len(small) >= BATCH_OBJECTS or waiting_bytes >= BATCH_BYTES:
            target.put_many(small)
            small, waiting_bytes = [], 0
    target.put_many(small)
    return tuple(missing)


def _copied(source: SealedStore, target: SealedStore, digest: str) -> SealedBytes | None:
    """A small object, to be put with others; a large one is put at once."""
    with source.get(digest) as sealed:
        if sealed.geometry.total_bytes <= SMALL_BYTES:
            return SealedBytes.of(b"".join(sealed.pieces()))
        target.put(received(sealed.pieces(), max_bytes=sealed.geometry.total_bytes), digest=digest)
        return None
