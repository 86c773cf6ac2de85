"""The IPFS store: sealed objects as files of the hospital's own Kubo node, addressed by their anchored digest.

``folder/index.db`` says which file holds which object; ``folder/incoming`` takes what is too large for memory until it
is whole: only then does it go to Kubo, at full speed, so that a slow or broken source leaves nothing there.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from domain.errors import Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import DIGEST_BYTES, decode_bytes
from domain.ports import StoreCopy, StoredBlob, StoreReport
from offchain.disk import disk_errors
from offchain.envelope.chunk_list import Buffer, ChunkList
from offchain.envelope.header import MAX_HEADER_JSON_BYTES
from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream
from offchain.envelope.suite import A256GCM_1M, PRODUCTION_SUITES, Suite
from offchain.stores.ipfs.holdings import MAX_OBJECT_BYTES, Holdings, Packed
from offchain.stores.ipfs.index import Entry, Index, Segment
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.opened import OpeningStore

MIN_ORPHAN_AGE: Final = timedelta(hours=24)
MAX_BATCH_OBJECTS: Final = 4096
_MEMORY_BYTES: Final = 8 << 20
_READ_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 2 * MAX_HEADER_JSON_BYTES
_WHOLE_BYTES: Final = A256GCM_1M.sealed_chunk_bytes + _HEAD_BYTES
"""More than any object of one chunk has: it is read at once, and its digest alone decides."""
_LOG: Final = logging.getLogger(__name__)


class IpfsStore(OpeningStore):
    """Sealed objects in one Kubo node (see :class:`domain.ports.BlobStore`)."""

    def __init__(
        self, rpc: KuboRpc, folder: Path, *, name: str = "yilian", allowed: Sequence[Suite] = PRODUCTION_SUITES
    ) -> None:
        """Open the store; Kubo is not asked yet, so that a node starts while it is down.

        Args:
            name: of the pins, of this store alone; other stores in the same Kubo node have other names. It does not
                leave the node.

        Raises:
            Unavailable, Tampered: the folder or the index cannot be used.
        """
        self._incoming = folder / "incoming"
        with disk_errors("opening the store"):
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rpc = rpc
        self._index = Index(folder / "index.db")
        self._pin_name = f"yilian/{name}"
        self._allowed = tuple(allowed)
        self._holdings = Holdings(rpc, self._index, self._pin_name, folder / "lock", self._allowed)
        self._compared = False

    def close(self) -> None:
        """Close index and connections."""
        self._index.close()
        self._rpc.close()

    def put(self, sealed: SealedBytes | SealedStream, *, digest: str | None = None) -> StoredBlob:
        """Store one object durably.

        Raises:
            Tampered: it has not the ``digest`` that was expected; nothing is stored.
            Invalid: it is longer than ``MAX_OBJECT_BYTES``.
            Unavailable: Kubo or the disk failed or is full; nothing is stored.
        """
        self._check_complete()
        with self._whole(sealed) as pieces:
            if digest is not None and sealed.digest != digest:
                raise Tampered("the object is not the expected one", reason="not-anchored", place=digest)
            if not self._is_well(sealed.digest):
                entry = Entry(sealed.digest, 0, sealed.chunk_list.total_bytes, _chunks(sealed), _now())
                self._holdings.enter_one(entry, pieces)
        return StoredBlob(sealed.digest, sealed.chunk_list.total_bytes)

    def put_many(self, sealed: Sequence[SealedBytes]) -> list[StoredBlob]:
        """Store many objects, small ones packed together.

        Raises:
            Invalid: more than ``MAX_BATCH_OBJECTS``.
            Unavailable: Kubo or the disk; objects that are there are whole, and the call may be repeated.
        """
        if len(sealed) > MAX_BATCH_OBJECTS:
            raise Invalid(f"at most {MAX_BATCH_OBJECTS} objects are stored at once", reason="too-large")
        self._check_complete()
        new = {one.digest: one for one in sealed}
        missing = [one for one in new.values() if not self._is_well(one.digest)]
        packed = [Packed(one.digest, one.data, _chunks(one), _now()) for one in missing]
        alone = [one for one in packed if self._index.is_going(one.digest)]
        for one in alone:  # a damaged segment still has it: together they could become the same file again
            self._holdings.enter([one])
        self._holdings.enter([one for one in packed if one not in alone])
        return [StoredBlob(one.digest, one.chunk_list.total_bytes) for one in sealed]

    @contextmanager
    def get(self, digest: str) -> Iterator[SealedObject]:
        """Open an object; head and chunk list are verified now, chunks as they are read.

        Raises:
            NotFound: there is none, or Kubo lost blocks of it.
            Tampered: it is not what was anchored.
            Unavailable: Kubo does not answer in time.
        """
        yield self._verified(_checked(digest))

    def exists(self, digest: str) -> bool:
        """True if the object is there, by the index."""
        if self._index.find(_checked(digest)) is not None:
            return True
        self._check_complete()
        return False

    def delete(self, digest: str) -> bool:
        """Remove an object; on return no block of the node holds any of it. False if there was none.

        Raises:
            Unavailable: it is not read any more, but its bytes may be there: call again.
        """
        return bool(self.delete_many([digest]))

    def delete_many(self, digests: Sequence[str]) -> int:
        """Remove objects with one garbage collection for all, which walks all pins; how many there were.

        Raises:
            Unavailable: as :meth:`delete`.
        """
        wanted = {_checked(digest) for digest in digests}
        self._check_complete()
        return len(self._holdings.remove(wanted)) if wanted else 0

    def digests(self) -> Iterator[str]:
        """All digests, in no order."""
        self._check_complete()
        yield from self._index.digests()

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        """Remove objects that nobody refers to and that nobody put within 24 hours; finish what broke off; compact.

        Raises:
            Unavailable: Kubo; what was found stays to be removed.
        """
        self._check_complete()
        before = (now.astimezone(UTC) - MIN_ORPHAN_AGE).timestamp()
        orphans = [digest for digest in self._index.digests(before) if not is_referenced(digest)]
        removed = self._holdings.remove(orphans, before)
        self._holdings.compact()
        return sorted(removed)

    def settle(self) -> bool:
        """Make an index that was lost, or is older than the node, whole; finish erasures that broke off.

        Returns:
            True if Kubo is down.
        """
        try:
            self._compare()
            if not self._index.is_complete():
                self._holdings.rebuild()
            self._holdings.finish()
        except Unavailable:
            return True
        return False

    def report(self) -> StoreReport:
        """Whether Kubo answers and the index is there."""
        try:
            self._rpc.version()
            self._check_complete()
            well = True
        except Unavailable:
            well = False
        return StoreReport((StoreCopy("ipfs", well),))

    def unfinished_erasures(self) -> Sequence[tuple[str, str]]:
        """None: a delete returns when no block is left, or fails and is called again."""
        return ()

    def _is_well(self, digest: str) -> bool:
        """Whether it is there already, and counts as put now; an altered copy makes room for the new one."""
        if self._index.find(digest) is None:
            return False
        self._index.touch(digest, _now())
        try:
            self.verify(digest)
        except (NotFound, Tampered):
            self._make_room(digest)
            return False
        return True

    def _make_room(self, digest: str) -> None:
        try:
            self._holdings.remove([digest])
        except Unavailable as error:
            if error.reason != "ipfs-neighbour":  # its segment stays for now, and nobody reads it from there
                raise

    def _check_complete(self) -> None:
        """The index knows what the node holds of this store; else it was lost, or an older one was put back."""
        self._compare()
        if self._index.is_complete():
            return
        if next(self._rpc.pins(self._pin_name), None) is not None:
            raise Unavailable("the index of the IPFS store is being made whole", reason="ipfs-index")
        self._index.note_complete()

    def _compare(self) -> None:
        """Once after the start: a backup that was put back brings an index from before."""
        if self._compared:
            return
        if self._index.is_complete():
            if self._holdings.is_unknown_there():
                self._index.note_incomplete()
        else:
            self._tell_of_others()
        self._compared = True

    def _tell_of_others(self) -> None:
        """A new index: another store of the hospital in this Kubo node may be the one that is meant."""
        beginning = f"{self._pin_name.rpartition('/')[0]}/"
        if any(name != self._pin_name for _, name in self._rpc.named_pins(beginning)):
            _LOG.warning("another store of this hospital is in the IPFS node; it is left alone")

    def _found(self, digest: str) -> tuple[Segment, Entry]:
        found = self._index.find(digest)
        if found is None:
            self._check_complete()
            raise NotFound("the store has no such object", reason="no-object", place=digest)
        return found

    def _verified(self, digest: str) -> SealedObject:
        segment, entry = self._found(digest)
        reader = _Reader(self, digest, segment, entry)
        if entry.length <= _WHOLE_BYTES:
            return _verified_whole(bytes(reader.read_at(0, entry.length)), digest, self._allowed)
        listed = ChunkList.parse(entry.chunks or b"")
        return SealedObject.verified(reader.read_at, entry.length, digest, listed, allowed=self._allowed)

    def read_at(self, segment: Segment, entry: Entry, offset: int, length: int) -> bytes:
        """Bytes of an object, unverified.

        Raises:
            NotFound, Tampered, Unavailable: as :meth:`get`.
        """
        return self._rpc.read(segment.cid, entry.offset + offset, max(0, min(length, entry.length - offset)))

    def moved(self, digest: str, segment: Segment) -> tuple[Segment, Entry] | None:
        """Where an object lies now, if it was packed into another segment meanwhile."""
        found = self._index.find(digest)
        return None if found is None or found[0].id == segment.id else found

    @contextmanager
    def _whole(self, sealed: SealedBytes | SealedStream) -> Iterator[Iterable[Buffer]]:
        """The pieces of an object once all of it is here: what is too large for memory lies in a file meanwhile."""
        if isinstance(sealed, SealedBytes):
            yield (sealed.data,)
            return
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(self._incoming)) as spool:
            total = 0
            for piece in sealed:
                total += len(piece)
                if total > MAX_OBJECT_BYTES:
                    raise Invalid(f"an object has at most {MAX_OBJECT_BYTES} bytes", reason="too-large")
                with disk_errors("keeping an object until it is whole"):
                    spool.write(piece)
            yield _read(spool)


class _Reader:
    """Reads one object, from another segment once it was moved there; its head is asked for once."""

    def __init__(self, store: IpfsStore, digest: str, segment: Segment, entry: Entry) -> None:
        self._store = store
        self._digest = digest
        self._segment = segment
        self._entry = entry
        self._head = b""
        self._failed: Unavailable | None = None

    def read_at(self, offset: int, length: int) -> Buffer:
        if offset + length > _HEAD_BYTES or self._entry.length <= _WHOLE_BYTES:
            return self._read(offset, length)
        self._head = self._head or self._read(0, _HEAD_BYTES)
        return self._head[offset : offset + length]

    def _read(self, offset: int, length: int) -> bytes:
        """A node that did not answer once in time is not asked again by the same reader."""
        if self._failed is not None:
            raise self._failed
        try:
            return self._read_where_it_lies(offset, length)
        except Unavailable as error:
            self._failed = error
            raise

    def _read_where_it_lies(self, offset: int, length: int) -> bytes:
        try:
            return self._store.read_at(self._segment, self._entry, offset, length)
        except NotFound:
            moved = self._store.moved(self._digest, self._segment)
            if moved is None:
                raise NotFound("the store has no such object", reason="no-object", place=self._digest) from None
            self._segment, self._entry = moved
            return self._store.read_at(self._segment, self._entry, offset, length)


def _verified_whole(data: bytes, digest: str, allowed: Sequence[Suite]) -> SealedObject:
    try:
        sealed = SealedBytes.of(data, allowed)
        if sealed.digest == digest:
            return sealed.verified(digest, allowed)
    except (Invalid, Tampered):
        pass
    raise Tampered("the stored object was altered", reason="object-altered", place=digest)


def _chunks(sealed: SealedBytes | SealedStream) -> bytes | None:
    return sealed.chunk_list.encode() if len(sealed.chunk_list.hashes) > 1 else None


def _read(spool: IO[bytes]) -> Iterator[bytes]:
    spool.seek(0)
    while piece := spool.read(_READ_BYTES):
        yield piece


def _checked(digest: str) -> str:
    decode_bytes(digest, "digest", length=DIGEST_BYTES)
    return digest


def _now() -> float:
    return datetime.now(UTC).timestamp()
