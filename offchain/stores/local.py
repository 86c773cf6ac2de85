"""The local store: one directory, one file per sealed object, named by its anchored digest in hexadecimal.

``objects/<2 hex>/<64 hex>`` holds the sealed bytes and, where they have more than one chunk, ``<64 hex>.chunks`` the
chunk list; ``incoming/`` holds what is not whole yet. An object becomes visible by one rename, after its bytes and its
list are on disk. Several processes may use one directory.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from domain.errors import Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import DIGEST_BYTES, decode_bytes, encode_bytes
from domain.ports import StoreCopy, StoredBlob, StoreReport
from offchain.disk import Disk, can_sync_file_system, disk_errors
from offchain.envelope.chunk_list import Buffer, ChunkList
from offchain.envelope.header import MAX_HEADER_JSON_BYTES
from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream
from offchain.envelope.suite import A256GCM_1M, PRODUCTION_SUITES, Suite
from offchain.stores.opened import OpeningStore
from offchain.stores.partial import Fetch, partial_file, receive_rest

MIN_ORPHAN_AGE: Final = timedelta(hours=24)
MAX_BATCH_OBJECTS: Final = 4096
_SYNC_ALL_FROM_OBJECTS: Final = 8
_IN_MEMORY_BYTES: Final = A256GCM_1M.sealed_chunk_bytes + 2 * MAX_HEADER_JSON_BYTES
"""More than any object of one chunk has; such an object has no list beside it, for its digest alone decides."""
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_CHUNKS: Final = ".chunks"
_PARTIAL: Final = ".partial"


class LocalStore(OpeningStore):
    """A content-addressed directory (see :class:`domain.ports.BlobStore`)."""

    def __init__(self, root: Path, *, allowed: Sequence[Suite] = PRODUCTION_SUITES, disk: Disk | None = None) -> None:
        """Open the store, making its directories.

        Raises:
            Unavailable: the directory cannot be made or synced.
        """
        self._objects = root / "objects"
        self._incoming = root / "incoming"
        self._lock = root / "lock"
        self._allowed = tuple(allowed)
        self._disk = disk or Disk()
        with disk_errors("opening the store"):
            self._make_directories(root)

    def put(self, sealed: SealedBytes | SealedStream, *, digest: str | None = None) -> StoredBlob:
        """Store one object durably.

        Raises:
            Tampered: it has not the ``digest`` that was expected; nothing is stored.
            Unavailable: the disk failed or is full; nothing is stored.
        """
        temporary = self._temporary()
        try:
            self._disk.write_file(temporary, _pieces(sealed), sync=True)
            if digest is not None and sealed.digest != digest:
                raise Tampered("the object is not the expected one", reason="not-anchored", place=digest)
            self._write_list(temporary, sealed, sync=True)
            with self._locked(fcntl.LOCK_SH):
                place = self._publish(temporary, sealed)
                self._disk.sync_directory(place.parent)
        except BaseException:
            self._discard(temporary)
            raise
        return StoredBlob(sealed.digest, sealed.chunk_list.total_bytes)

    def put_many(self, sealed: Sequence[SealedBytes]) -> list[StoredBlob]:
        """Store many objects, waiting for the disk twice in all instead of twice for each.

        Raises:
            Invalid: more than ``MAX_BATCH_OBJECTS``.
            Unavailable: the disk failed or is full; objects that are visible are whole, and the call may be repeated.
        """
        if len(sealed) > MAX_BATCH_OBJECTS:
            raise Invalid(f"at most {MAX_BATCH_OBJECTS} objects are stored at once", reason="too-large")
        if len(sealed) < _SYNC_ALL_FROM_OBJECTS or not can_sync_file_system():
            return [self.put(one) for one in sealed]
        temporaries = [self._temporary() for _ in sealed]
        try:
            for temporary, one in zip(temporaries, sealed, strict=True):
                self._disk.write_file(temporary, (one.data,), sync=False)
                self._write_list(temporary, one, sync=False)
            self._disk.sync_file_system(self._objects)
            with self._locked(fcntl.LOCK_SH):
                for temporary, one in zip(temporaries, sealed, strict=True):
                    self._publish(temporary, one)
                self._disk.sync_file_system(self._objects)
        except BaseException:
            for temporary in temporaries:
                self._discard(temporary)
            raise
        return [StoredBlob(one.digest, one.chunk_list.total_bytes) for one in sealed]

    def put_received(self, digest: str, fetch: Fetch, *, max_bytes: int) -> StoredBlob:
        """Store an object that comes from elsewhere; what came before a broken transfer is kept for a day.

        Args:
            digest: the anchored digest; nothing else is ever stored under this call.
            fetch: gives the sealed bytes from an offset on; its own exceptions pass through, and the next call goes on.
            max_bytes: the longest object that is taken.

        Raises:
            Conflict: somebody else receives the same object now.
            Invalid, Tampered: what came is not the object; it is thrown away.
            Unavailable: the disk failed or is full.
        """
        partial = self._incoming / f"{self._place(digest).name}{_PARTIAL}"
        with partial_file(partial) as descriptor:
            try:
                stream = receive_rest(
                    descriptor, fetch, digest=digest, max_bytes=max_bytes, allowed=self._allowed, disk=self._disk
                )
            except (Invalid, Tampered):
                self._discard(partial)
                raise
            self._disk.remove(_list_of(partial))
            self._write_list(partial, stream, sync=True)
            with self._locked(fcntl.LOCK_SH):
                self._disk.sync_directory(self._publish(partial, stream).parent)
        return StoredBlob(digest, stream.chunk_list.total_bytes)

    @contextmanager
    def get(self, digest: str) -> Iterator[SealedObject]:
        """Open an object; head and chunk list are verified now, chunks as they are read.

        Raises:
            NotFound: there is none.
            Tampered: it is not what was anchored.
            Unavailable: the disk failed.
        """
        place = self._place(digest)
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._disk.opened(place))
            except FileNotFoundError:
                raise NotFound("the store has no such object", reason="no-object", place=digest) from None
            yield self._verified(descriptor, place, digest)

    def _verified(self, descriptor: int, place: Path, digest: str) -> SealedObject:
        size = os.fstat(descriptor).st_size
        if size <= _IN_MEMORY_BYTES:
            return self._verified_in_memory(self._disk.read_at(descriptor, 0, size), place, digest)
        return SealedObject.verified(
            lambda offset, length: self._disk.read_at(descriptor, offset, length),
            size,
            digest,
            self._read_list(place, digest),
            allowed=self._allowed,
        )

    def _verified_in_memory(self, data: bytes, place: Path, digest: str) -> SealedObject:
        """A small object, which has no list of its own when it is of one chunk: the digest alone decides."""
        with suppress(Invalid, Tampered):
            return SealedBytes.of(data, self._allowed).verified(digest, self._allowed)
        if not _list_of(place).exists():
            raise Tampered("the stored object was altered", reason="object-altered", place=digest)
        listed = self._read_list(place, digest)
        return SealedObject.verified(
            lambda offset, length: data[offset : offset + length], len(data), digest, listed, allowed=self._allowed
        )

    def exists(self, digest: str) -> bool:
        """True if the object is there."""
        return self._place(digest).exists()

    def delete(self, digest: str) -> bool:
        """Remove an object and its chunk list, durably; false if there was none.

        Raises:
            Unavailable: the disk failed.
        """
        with self._locked(fcntl.LOCK_EX):
            return self._remove(self._place(digest))

    def delete_many(self, digests: Sequence[str]) -> int:
        """Remove objects; how many there were.

        Raises:
            Unavailable: the disk failed; call again.
        """
        return sum(self.delete(digest) for digest in digests)

    def digests(self) -> Iterator[str]:
        """All digests, in no order."""
        for path in self._object_files():
            yield encode_bytes(bytes.fromhex(path.name))

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        """Remove objects that nobody refers to and that nobody put within 24 hours, and remains of broken writes.

        Raises:
            Unavailable: the disk failed.
        """
        before = (now.astimezone(UTC) - MIN_ORPHAN_AGE).timestamp()
        removed: list[str] = []
        for path in self._object_files():
            digest = encode_bytes(bytes.fromhex(path.name))
            if _changed_before(path, before) and not is_referenced(digest) and self._remove_orphan(path, before):
                removed.append(digest)
        for path in (*_entries(self._incoming), *self._lists_without_object()):
            if _changed_before(path, before):
                self._disk.remove(path)
        return removed

    def settle(self) -> bool:
        """Nothing waits: what fails is done again by the caller."""
        return False

    def report(self) -> StoreReport:
        """The directory can be read and written."""
        well = os.access(self._objects, os.R_OK | os.W_OK | os.X_OK)
        return StoreReport((StoreCopy("local", well),))

    def unfinished_erasures(self) -> Sequence[tuple[str, str]]:
        """None: a delete has removed the file, or failed."""
        return ()

    def _remove_orphan(self, path: Path, before: float) -> bool:
        """Looks again under the lock: somebody may have put the object anew meanwhile."""
        with self._locked(fcntl.LOCK_EX):
            return _changed_before(path, before) and self._remove(path)

    def _make_directories(self, root: Path) -> None:
        paths = [root, self._objects, self._incoming, *(self._objects / f"{number:02x}" for number in range(256))]
        for path in paths:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.touch(mode=0o600)
        for path in (self._objects, root):
            self._disk.sync_directory(path)

    def _temporary(self) -> Path:
        return self._incoming / secrets.token_hex(16)

    def _place(self, digest: str) -> Path:
        name = decode_bytes(digest, "digest", length=DIGEST_BYTES).hex()
        return self._objects / name[:2] / name

    def _write_list(self, temporary: Path, sealed: SealedBytes | SealedStream, *, sync: bool) -> None:
        if len(sealed.chunk_list.hashes) > 1:
            self._disk.write_file(_list_of(temporary), (sealed.chunk_list.encode(),), sync=sync)

    def _publish(self, temporary: Path, sealed: SealedBytes | SealedStream) -> Path:
        """Rename list, then object. One that is there already counts as put now, so that nobody collects it."""
        place = self._place(sealed.digest)
        if len(sealed.chunk_list.hashes) > 1:
            self._disk.replace(_list_of(temporary), _list_of(place))
        self._disk.replace(temporary, place)
        return place

    def _discard(self, temporary: Path) -> None:
        """What remains after a failure; if even that fails, the collection removes it later."""
        for path in (temporary, _list_of(temporary)):
            with suppress(Unavailable):
                self._disk.remove(path)

    def _remove(self, place: Path) -> bool:
        existed = self._disk.remove(place)
        self._disk.remove(_list_of(place))
        self._disk.sync_directory(place.parent)
        return existed

    def _read_list(self, place: Path, digest: str) -> ChunkList:
        try:
            with self._disk.opened(_list_of(place)) as descriptor:
                size = os.fstat(descriptor).st_size
                return ChunkList.parse(self._disk.read_at(descriptor, 0, size))
        except FileNotFoundError:
            raise Tampered("the chunk list is missing", reason="chunk-list", place=digest) from None
        except Tampered as error:
            raise Tampered(error.detail, reason=error.reason, place=digest) from error

    def _object_files(self) -> Iterator[Path]:
        for directory in _entries(self._objects):
            yield from (path for path in _entries(directory) if _NAME.fullmatch(path.name))

    def _lists_without_object(self) -> Iterator[Path]:
        for directory in _entries(self._objects):
            lists = (path for path in _entries(directory) if path.suffix == _CHUNKS)
            yield from (path for path in lists if not path.with_suffix("").exists())

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        """Publishing (shared) and removing (exclusive) never interleave, over all processes."""
        with self._disk.opened(self._lock) as descriptor:
            fcntl.flock(descriptor, mode)
            yield


def _pieces(sealed: SealedBytes | SealedStream) -> Iterable[Buffer]:
    return (sealed.data,) if isinstance(sealed, SealedBytes) else sealed


def _list_of(path: Path) -> Path:
    return path.with_name(path.name + _CHUNKS)


@disk_errors("reading a directory")
def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@disk_errors("looking at a file")
def _changed_before(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
