"""What came of an object before its transfer broke: kept, so that the next attempt asks for the rest only."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Tampered, Unavailable
from offchain.disk import Disk, disk_errors
from offchain.envelope.chunk_list import Buffer
from offchain.envelope.sealed import SealedStream, received
from offchain.envelope.suite import Suite

Fetch = Callable[[int], Iterable[Buffer]]
"""Gives the bytes of an object from an offset on; nothing if the offset is its end."""
_READ_BYTES: Final = 1 << 20


@contextmanager
def partial_file(path: Path) -> Iterator[int]:
    """Open what is there, or begin, for one writer over all processes.

    Raises:
        Conflict: somebody else receives the same object now.
    """
    with disk_errors("opening a partial object"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def receive_rest(
    descriptor: int, fetch: Fetch, *, digest: str, max_bytes: int, allowed: Sequence[Suite], disk: Disk
) -> SealedStream:
    """Hash what is there, fetch and append the rest, and wait for the disk.

    Raises:
        Invalid: no sealed object of an accepted suite, or longer than ``max_bytes``.
        Tampered: the whole has not the expected digest.
        Unavailable: the disk failed or is full; what was not synced then is not gone on with.
    """
    kept = os.fstat(descriptor).st_size
    stream = received(chain(_kept(descriptor, kept, disk), fetch(kept)), max_bytes=max_bytes, allowed=allowed)
    taken = 0
    for piece in stream:
        new = min(len(piece), max(0, taken + len(piece) - kept))
        disk.append(descriptor, memoryview(piece)[len(piece) - new :])
        taken += len(piece)
    if stream.digest != digest:
        raise Tampered("the object is not the expected one", reason="not-anchored", place=digest)
    _sync_or_forget(descriptor, disk)
    return stream


def _sync_or_forget(descriptor: int, disk: Disk) -> None:
    """Wait for the disk; if it fails, nothing of the file is kept: the next fsync(2) would say that all is well.

    Raises:
        Unavailable: the disk failed or is full; the next call begins anew.
    """
    try:
        disk.sync(descriptor)
    except Unavailable:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
        raise


def _kept(descriptor: int, size: int, disk: Disk) -> Iterator[Buffer]:
    for offset in range(0, size, _READ_BYTES):
        yield disk.read_at(descriptor, offset, min(_READ_BYTES, size - offset))


def _lock(descriptor: int, path: Path) -> None:
    """Lock, and look whether it is still the file of that name: another may just have published it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        same = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        same = False
    if not same:
        raise Conflict("the object is being received already", reason="in-progress")
