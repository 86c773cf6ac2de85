"""What the hospital has in its IPFS node: segments are entered, packed anew without what is erased, and taken away.

Nothing here trusts that an earlier call came to its end: whatever carries the pin name of the store and is not in the
index is a remain of a call that broke off, and leaves with the next garbage collection.
"""

from __future__ import annotations

import fcntl
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import NotFound, Tampered, Unavailable
from offchain.envelope.chunk_list import Buffer
from offchain.stores.ipfs.index import Entry, Index, Segment
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.segment import MAX_OBJECTS, MAX_PACKED_BYTES, MAX_SEGMENT_BYTES, batches, pieces, spans
from offchain.stores.lock import locked

PUT_WAIT_S: Final = 60.0
_SMALL_SEGMENT_BYTES: Final = MAX_PACKED_BYTES
_SHUFFLE: Final = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Packed:
    """An object that is to be packed: what the index says of it, and its sealed bytes."""

    digest: str
    data: Buffer = field(repr=False)
    chunks: bytes | None = field(repr=False)
    put_at: float


class Holdings:
    """The segments of one store. Thread-safe, over all processes that share the folder of its index."""

    def __init__(self, rpc: KuboRpc, index: Index, pin_name: str, lock: Path) -> None:
        self._rpc = rpc
        self._index = index
        self._pin_name = pin_name
        self._lock = lock

    def enter_one(self, entry: Entry, data: Iterable[Buffer]) -> None:
        """Store one object as a segment of its own, durably.

        Raises:
            Unavailable: nothing is entered.
        """
        with locked(self._lock, fcntl.LOCK_SH, PUT_WAIT_S):
            cid = self._rpc.add(data, self._pin_name)
            self._index.add(cid, entry.length, [entry])

    def enter(self, objects: Sequence[Packed]) -> None:
        """Store objects in as few segments as there have to be, durably.

        Raises:
            Unavailable: those that are entered are whole.
        """
        for batch in batches([len(one.data) for one in objects]):
            with locked(self._lock, fcntl.LOCK_SH, PUT_WAIT_S):
                cid, entries = self._add([objects[position] for position in batch])
                self._index.add(cid, _end(entries), entries)

    def remove(self, digests: Collection[str], before: float | None = None) -> set[str]:
        """Erase objects: on return no block of the node holds anything of them, in whatever segment they were.

        What an earlier call left unfinished is finished, too.

        Args:
            before: leave what was put after this time (seconds since 1970).

        Returns:
            Which of them were there.

        Raises:
            Unavailable: nobody reads them any more, but their bytes may still be there; call again.
        """
        with locked(self._lock, fcntl.LOCK_EX, PUT_WAIT_S):
            marked = self._index.mark_going(digests, before)
            for segment in self._index.broken_segments():
                self._pack([segment])
            leaving = self._index.leaving_segments()
            if not self._unpin_what_leaves() and not leaving:
                return marked
        self._rpc.collect()
        kept = self._index.live_cids()
        for segment in leaving:
            if segment.cid not in kept and self._rpc.has(segment.cid):
                raise Unavailable("something else in the IPFS node holds an erased object", reason="ipfs-held")
        self._index.forget(leaving)
        return marked

    def finish(self) -> None:
        """Finish what :meth:`remove` left when it broke off.

        Raises:
            Unavailable: call again.
        """
        if self._index.leaving_segments() or self._index.broken_segments():
            self.remove(())

    def compact(self) -> None:
        """Pack small segments together, in no order, so that neighbours do not tell what was stored together.

        Raises:
            Unavailable: what was packed by then is packed.
        """
        small = self._index.small_segments(_SMALL_SEGMENT_BYTES)
        _SHUFFLE.shuffle(small)
        for together in _groups(small):
            with locked(self._lock, fcntl.LOCK_EX, PUT_WAIT_S):
                self._pack(together)
        self.remove(())

    def _pack(self, old: Sequence[Segment]) -> None:
        """Put what stays of segments into a new one. What cannot be read any more is left behind, and missing then."""
        live = [packed for segment in old for packed in self._read(segment)]
        _SHUFFLE.shuffle(live)
        if not live:
            self._index.replace(old, None, ())
            return
        cid, entries = self._add(live)
        self._index.replace(old, (cid, _end(entries)), entries)

    def _read(self, segment: Segment) -> Iterator[Packed]:
        """What stays of a segment: read at once, or object by object where a part of it is lost."""
        data = self._cat(segment, 0, segment.total_bytes)
        for entry in self._index.live_entries(segment):
            end = entry.offset + entry.length
            found = data[entry.offset : end] if data else self._cat(segment, entry.offset, entry.length)
            if found:
                yield Packed(entry.digest, found, entry.chunks, entry.put_at)

    def _cat(self, segment: Segment, offset: int, length: int) -> bytes:
        """These bytes, or none if not all of them are there."""
        try:
            return self._rpc.read(segment.cid, offset, length)
        except (NotFound, Tampered):
            return b""

    def _add(self, objects: Sequence[Packed]) -> tuple[str, list[Entry]]:
        places = spans([len(one.data) for one in objects])
        cid = self._rpc.add(pieces([one.data for one in objects]), self._pin_name)
        return cid, [
            Entry(one.digest, place.offset, place.length, one.chunks, one.put_at)
            for one, place in zip(objects, places, strict=True)
        ]

    def _unpin_what_leaves(self) -> int:
        """Under the exclusive lock nothing of ours is on its way: what is not in the index belongs to nobody."""
        kept = self._index.live_cids()
        leaving = [cid for cid in self._rpc.pins(self._pin_name) if cid not in kept]
        return sum(self._rpc.unpin(cid) for cid in leaving)


def _groups(segments: Sequence[tuple[Segment, int]]) -> Iterator[list[Segment]]:
    """Two or more segments that fit into one; each comes with the number of its objects."""
    group, total, objects = list[Segment](), 0, 0
    for segment, count in segments:
        if total + segment.total_bytes > MAX_SEGMENT_BYTES or objects + count > MAX_OBJECTS:
            if len(group) > 1:
                yield group
            group, total, objects = [], 0, 0
        group.append(segment)
        total += segment.total_bytes
        objects += count
    if len(group) > 1:
        yield group


def _end(entries: Sequence[Entry]) -> int:
    return entries[-1].offset + entries[-1].length
