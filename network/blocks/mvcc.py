"""Validity of read sets at commit (Fabric core/ledger/kvledger/txmgmt/validation).

A transaction is valid if every key it read still has the version it saw and was not touched by an earlier valid
transaction of the same block, and if every range it read gives the same keys and versions again, this time with the
block's own earlier writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from network.blocks.codes import ValidationCode
from network.blocks.private_writes import hashed_namespace, private_operations
from network.blocks.protos import kvrwset, serialize
from network.blocks.rwset import (
    MerkleSummary,
    NamespaceRwset,
    RangeQuery,
    Read,
    Version,
    Write,
    fill_read,
)

MAX_RANGE_READS = 50
"""A range result of more entries is recorded as a digest (``max_degree`` of Fabric's query helper)."""


class CommittedState(Protocol):
    """The world state after the previous block."""

    def get(self, namespace: str, key: str) -> bytes | None:
        """Value of a key, ``None`` if it is absent."""
        ...

    def version(self, namespace: str, key: str) -> Version | None:
        """Version of a key, ``None`` if it is absent."""
        ...

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]:
        """Keys in [start, end) in the order of their UTF-8 bytes; an empty ``end_key`` means to the end."""
        ...


@dataclass(slots=True)
class BlockUpdates:
    """Validates the transactions of one block in order and collects what the valid ones write.

    Attributes:
        state: the state after the previous block; not changed here.
        block: number of this block, which the new versions carry.
        writes: namespace → key → (value or ``None`` when deleted, version), the last writer's.
        asked_state: whether a value was looked up in ``state``: that of a private key of which a transaction wrote the
            metadata alone, which gives the key a new version.
    """

    state: CommittedState
    block: int
    writes: dict[str, dict[str, tuple[bytes | None, Version]]] = field(default_factory=dict)
    asked_state: bool = False

    def validate(self, rwsets: tuple[NamespaceRwset, ...], tx: int) -> ValidationCode:
        """Judges the transaction at position ``tx``; if it is valid, its writes count for those after it."""
        for rwset in rwsets:
            if not all(self._read_holds(rwset.namespace, read.key, read.version) for read in rwset.reads):
                return ValidationCode.MVCC_READ_CONFLICT
            if not all(self._range_holds(rwset.namespace, query) for query in rwset.range_queries):
                return ValidationCode.PHANTOM_READ_CONFLICT
            if not self._hashed_reads_hold(rwset):
                return ValidationCode.MVCC_READ_CONFLICT
        self.apply(rwsets, tx)
        return ValidationCode.VALID

    def apply(self, rwsets: tuple[NamespaceRwset, ...], tx: int) -> None:
        """Takes the writes of a valid transaction over without judging it."""
        version = Version(self.block, tx)
        for rwset in rwsets:
            for write in rwset.writes:
                self._put(rwset.namespace, write, version)
        for (namespace, key), operations in private_operations(rwsets).items():
            value = self._latest(namespace, key) if operations.keeps_value else operations.value
            if value is not None or operations.is_deletion:  # metadata of an absent key change nothing
                self._put(namespace, Write(key, value), version)

    def _latest(self, namespace: str, key: str) -> bytes | None:
        pending = self.writes.get(namespace, {})
        if key in pending:
            return pending[key][0]
        self.asked_state = True
        return self.state.get(namespace, key)

    def _put(self, namespace: str, write: Write, version: Version) -> None:
        self.writes.setdefault(namespace, {})[write.key] = (write.value, version)

    def _read_holds(self, namespace: str, key: str, version: Version | None) -> bool:
        if key in self.writes.get(namespace, ()):
            return False
        return self.state.version(namespace, key) == version

    def _hashed_reads_hold(self, rwset: NamespaceRwset) -> bool:
        return all(
            self._read_holds(hashed_namespace(rwset.namespace, collection.name), read.key_hash.hex(), read.version)
            for collection in rwset.collections
            for read in collection.reads
        )

    def _range_holds(self, namespace: str, query: RangeQuery) -> bool:
        if query.summary is not None:
            return _summary_holds(query.summary, self._current(namespace, query))
        expected = iter(query.reads)
        for key, version in self._current(namespace, query):
            read = next(expected, None)
            if read is None or read.key != key or read.version != version:
                return False
        return next(expected, None) is None

    def _current(self, namespace: str, query: RangeQuery) -> Iterator[tuple[str, Version]]:
        """The range as it is now: committed keys overlaid with this block's earlier writes."""
        end = query.end_key if query.exhausted or not query.end_key else query.end_key + "\0"
        pending = self.writes.get(namespace, {})
        touched = sorted(key for key in pending if key >= query.start_key and (not end or key < end))
        position = 0
        for key, version in self.state.scan(namespace, query.start_key, end):
            while position < len(touched) and touched[position] < key:
                yield from _live(touched[position], pending)
                position += 1
            if position < len(touched) and touched[position] == key:
                yield from _live(key, pending)
                position += 1
            else:
                yield key, version
        for key in touched[position:]:
            yield from _live(key, pending)


def record_range(start_key: str, end_key: str, reads: list[Read], *, exhausted: bool) -> RangeQuery:
    """What an endorser records of a range it iterated over.

    ``end_key`` is the end asked for when the iterator was exhausted, else the last key taken.
    """
    if len(reads) <= MAX_RANGE_READS:
        return RangeQuery(start_key, end_key, exhausted, tuple(reads))
    tree = _RangeTree(MAX_RANGE_READS)
    for read in reads:
        tree.add(read)
    return RangeQuery(start_key, end_key, exhausted, (), tree.summary())


def _live(key: str, pending: dict[str, tuple[bytes | None, Version]]) -> Iterator[tuple[str, Version]]:
    value, version = pending[key]
    if value is not None:
        yield key, version


def _summary_holds(summary: MerkleSummary, current: Iterator[tuple[str, Version]]) -> bool:
    if summary.max_degree < 2:
        return False
    tree = _RangeTree(summary.max_degree)
    for key, version in current:
        tree.add(Read(key, version))
    return not tree.is_empty and tree.summary() == summary


class _RangeTree:
    """Fabric's tree over range results (rwsetutil/query_results_helper.go): nodes of ``max_degree`` + 1 children."""

    def __init__(self, max_degree: int) -> None:
        self._max_degree = max_degree
        self._pending: list[Read] = []
        self._levels: dict[int, list[bytes]] = {}
        self._top = 1

    @property
    def is_empty(self) -> bool:
        """Whether all results fit without hashing; then Fabric records them raw."""
        return self._top == 1 and not self._levels.get(1)

    def add(self, read: Read) -> None:
        self._pending.append(read)
        if len(self._pending) > self._max_degree:
            self._hash_pending()

    def summary(self) -> MerkleSummary:
        if self._pending:
            self._hash_pending()
        self._finish()
        return MerkleSummary(self._max_degree, self._top, tuple(self._levels.get(self._top, ())))

    def _hash_pending(self) -> None:
        message = kvrwset.QueryReads()
        for read in self._pending:
            fill_read(message.kv_reads.add(), read)
        self._pending = []
        self._append(1, hashlib.sha256(serialize(message)).digest())
        level = 1
        while len(self._levels[level]) > self._max_degree:
            self._lift(level)
            level += 1
            self._top = max(self._top, level)

    def _finish(self) -> None:
        for level in range(1, self._top):
            if self._levels.get(level):
                self._lift(level)
        if len(self._levels.get(self._top, ())) > self._max_degree:
            self._lift(self._top)
            self._top += 1

    def _lift(self, level: int) -> None:
        hashes = self._levels.pop(level)
        single = len(hashes) == 1
        self._append(level + 1, hashes[0] if single else hashlib.sha256(b"".join(hashes)).digest())

    def _append(self, level: int, digest: bytes) -> None:
        self._levels.setdefault(level, []).append(digest)
