"""What the hospital has in its IPFS node: segments are entered, packed anew without what is erased, and taken away.

Nothing here trusts that an earlier call came to its end, nor that the index is the newest: what carries the pin name of
the store and is not in the index (a call broke off, or an older index was put back) is entered, never removed unread.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import Invalid, NotFound, Tampered, Unavailable
from offchain.envelope.chunk_list import Buffer
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.suite import Suite
from offchain.stores.ipfs.index import Entry, Index, Segment
from offchain.stores.ipfs.rebuilding import adopt
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.segment import MAX_OBJECTS, MAX_PACKED_BYTES, MAX_SEGMENT_BYTES, batches, pieces, spans
from offchain.stores.lock import alone, beside_others

PUT_WAIT_S: Final = 60.0
MAX_OBJECT_BYTES: Final = 64 << 30
_SMALL_SEGMENT_BYTES: Final = MAX_PACKED_BYTES
_SHUFFLE: Final = random.SystemRandom()
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packed:
    """An object that is to be packed: what the index says of it, and its sealed bytes."""

    digest: str
    data: Buffer = field(repr=False)
    chunks: bytes | None = field(repr=False)
    put_at: float


class Holdings:
    """The segments of one store. Thread-safe, over all processes that share the folder of its index."""

    def __init__(self, rpc: KuboRpc, index: Index, pin_name: str, lock: Path, allowed: Sequence[Suite]) -> None:
        self._rpc = rpc
        self._index = index
        self._pin_name = pin_name
        self._lock = lock
        self._allowed = allowed
        self._told: set[int] = set()

    def enter_one(self, entry: Entry, data: Iterable[Buffer]) -> None:
        """Store one object as a segment of its own, durably.

        Raises:
            Unavailable: nothing is entered.
        """
        with beside_others(self._lock, PUT_WAIT_S):
            cid = self._rpc.add(data, self._pin_name)
            self._index.add(cid, entry.length, [entry])

    def enter(self, objects: Sequence[Packed]) -> None:
        """Store objects in as few segments as there have to be, durably.

        Raises:
            Unavailable: those that are entered are whole.
        """
        for batch in batches([len(one.data) for one in objects]):
            with beside_others(self._lock, PUT_WAIT_S):
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
            Unavailable: nobody reads them any more, but their bytes may still be there; call again. Where something
                beside them in their segment cannot be read now, it is kept, and they stay (``ipfs-neighbour``).
        """
        marked = self._index.mark_going(digests, before)
        with alone(self._lock, PUT_WAIT_S):
            self._adopt_unknown()
            marked |= self._index.mark_going(digests, before)
            unread = [segment for segment in self._index.broken_segments() if not self._pack([segment])]
            leaving = self._index.leaving_segments()
            self._unpin(leaving)
        if leaving:
            self._collect(leaving)
        if self._index.going_digests(unread) & set(digests):
            raise Unavailable("what lies beside an erased object cannot be read", reason="ipfs-neighbour")
        return marked

    def is_unknown_there(self) -> bool:
        """True if the node holds files of this store that the index does not know."""
        if not self._unknown():
            return False
        with alone(self._lock, PUT_WAIT_S):  # nothing of ours is on its way
            return bool(self._unknown())

    def rebuild(self) -> None:
        """Enter everything that the node holds, and call the index complete; may be broken off and repeated.

        It takes as long as Kubo takes to give all that the index does not know.

        Raises:
            Unavailable: call again.
        """
        with alone(self._lock, PUT_WAIT_S):
            self._adopt_unknown()
        self._rpc.collect()  # an erasure that the old index knew of may have left unpinned blocks
        self._index.note_complete()

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
            with alone(self._lock, PUT_WAIT_S):
                self._pack(together)
        self.remove(())

    def _pack(self, old: Sequence[Segment]) -> bool:
        """Put what stays of segments into a new one; a segment of which a part cannot be read is left as it is.

        Returns:
            False if none could be read.
        """
        found = {segment: packed for segment in old if (packed := self._read(segment)) is not None}
        if not found:
            return False
        live = list(self._once(packed for parts in found.values() for packed in parts))
        _SHUFFLE.shuffle(live)
        if not live:
            self._index.replace(list(found), None, ())
            return True
        cid, entries = self._add(live)
        self._index.replace(list(found), (cid, _end(entries)), entries)
        return True

    def _read(self, segment: Segment) -> list[Packed] | None:
        """What stays of a segment and lies nowhere else; None where a part of that cannot be read.

        It is read at once, or object by object where a part of it is lost.
        """
        data, parts = self._cat(segment, 0, segment.total_bytes), list[Packed]()
        for entry in self._index.live_entries(segment):
            end = entry.offset + entry.length
            found = data[entry.offset : end] if data else self._cat(segment, entry.offset, entry.length)
            if found:
                parts.append(Packed(entry.digest, found, entry.chunks, entry.put_at))
            elif not self._is_elsewhere(entry.digest, segment):
                self._tell(segment)
                return None
        return parts

    def _tell(self, segment: Segment) -> None:
        if segment.id not in self._told:
            self._told.add(segment.id)
            _LOG.error("a segment of the IPFS store is kept as it is: a part of it cannot be read")

    def _is_elsewhere(self, digest: str, segment: Segment) -> bool:
        places = self._index.other_places(digest, segment)
        return any(self._cat(other, entry.offset, entry.length) for other, entry in places)

    def _once(self, parts: Iterable[Packed]) -> Iterable[Packed]:
        """Each object once; of two copies one that is well."""
        kept = dict[str, Packed]()
        for one in parts:
            if one.digest not in kept or not self._is_well(kept[one.digest]):
                kept[one.digest] = one
        return kept.values()

    def _is_well(self, one: Packed) -> bool:
        try:
            return SealedBytes.of(bytes(one.data), self._allowed).digest == one.digest
        except (Invalid, Tampered):
            return False

    def _cat(self, segment: Segment, offset: int, length: int) -> bytes:
        """These bytes, or none if not all of them are there."""
        try:
            data = self._rpc.read(segment.cid, offset, length)
        except (NotFound, Tampered):
            return b""
        return data if len(data) == length else b""

    def _add(self, objects: Sequence[Packed]) -> tuple[str, list[Entry]]:
        places = spans([len(one.data) for one in objects])
        cid = self._rpc.add(pieces([one.data for one in objects]), self._pin_name)
        return cid, [
            Entry(one.digest, place.offset, place.length, one.chunks, one.put_at)
            for one, place in zip(objects, places, strict=True)
        ]

    def _unknown(self) -> list[str]:
        pinned = list(self._rpc.pins(self._pin_name))
        known = self._index.cids()
        return [cid for cid in pinned if cid not in known]

    def _adopt_unknown(self) -> None:
        """Under the exclusive lock nothing of ours is on its way: what is not in the index is no news of today."""
        adopt(self._rpc, self._index, self._unknown(), max_bytes=MAX_OBJECT_BYTES, allowed=self._allowed)

    def _unpin(self, leaving: Sequence[Segment]) -> None:
        kept = self._index.live_cids()
        for segment in leaving:
            if segment.cid not in kept:
                self._rpc.unpin(segment.cid)

    def _collect(self, leaving: Sequence[Segment]) -> None:
        self._rpc.collect()
        kept = self._index.live_cids()
        for segment in leaving:
            if segment.cid not in kept and self._rpc.has(segment.cid):
                raise Unavailable("something else in the IPFS node holds an erased object", reason="ipfs-held")
        self._index.forget(leaving)


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
