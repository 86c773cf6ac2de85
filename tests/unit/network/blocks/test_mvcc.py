"""Fabric's rules for read conflicts, case by case."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from network.blocks.codes import ValidationCode
from network.blocks.mvcc import MAX_RANGE_READS, BlockUpdates, record_range
from network.blocks.private_writes import hashed_namespace
from network.blocks.protos import kvrwset, rwset, serialize
from network.blocks.rwset import (
    CollectionRwset,
    HashedMetadataWrite,
    HashedRead,
    HashedWrite,
    NamespaceRwset,
    RangeQuery,
    Read,
    Version,
    Write,
    parse_rwsets,
    serialize_rwsets,
)
from network.verifier.world_state import WorldState

VALID = ValidationCode.VALID
MVCC = ValidationCode.MVCC_READ_CONFLICT
PHANTOM = ValidationCode.PHANTOM_READ_CONFLICT
V1, V2 = Version(1, 0), Version(1, 1)


@dataclass(frozen=True)
class Tx:
    """A transaction in the only namespace of these cases."""

    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    ranges: tuple[RangeQuery, ...] = ()
    code: ValidationCode = VALID
    collections: tuple[CollectionRwset, ...] = field(default=())

    @property
    def rwsets(self) -> tuple[NamespaceRwset, ...]:
        return (NamespaceRwset("cc", self.reads, self.writes, self.ranges, self.collections),)


def put(key: str) -> Write:
    return Write(key, b"new")


def _state() -> WorldState:
    """b and d at version (1, 0), f at (1, 1)."""
    state = WorldState()
    state.apply((NamespaceRwset("cc", writes=(put("b"), put("d"))),), V1)
    state.apply((NamespaceRwset("cc", writes=(put("f"),)),), V2)
    return state


SEEN = (Read("b", V1), Read("d", V1), Read("f", V2))
ALL = RangeQuery("a", "z", True, SEEN)

CASES: dict[str, list[Tx]] = {
    "a blind write is valid": [Tx(writes=(put("b"),))],
    "two blind writes of one key are both valid": [Tx(writes=(put("b"),)), Tx(writes=(put("b"),))],
    "a read of the committed version is valid": [Tx(reads=(Read("b", V1),))],
    "a read of an absent key is valid": [Tx(reads=(Read("x", None),))],
    "a read of an older version conflicts": [Tx(reads=(Read("b", Version(0, 0)),), code=MVCC)],
    "a read of a newer version conflicts": [Tx(reads=(Read("b", Version(2, 0)),), code=MVCC)],
    "a key read as absent that is there conflicts": [Tx(reads=(Read("b", None),), code=MVCC)],
    "a key read as there that is absent conflicts": [Tx(reads=(Read("x", V1),), code=MVCC)],
    "a read of a key written earlier in the block conflicts": [
        Tx(writes=(put("b"),)),
        Tx(reads=(Read("b", V1),), code=MVCC),
    ],
    "a read of a key deleted earlier in the block conflicts": [
        Tx(writes=(Write("b", None),)),
        Tx(reads=(Read("b", V1),), code=MVCC),
    ],
    "a read as absent of a key deleted earlier in the block conflicts": [
        Tx(writes=(Write("b", None),)),
        Tx(reads=(Read("b", None),), code=MVCC),
    ],
    "a read of a key that an invalid transaction would have written is valid": [
        Tx(reads=(Read("d", None),), writes=(put("b"),), code=MVCC),
        Tx(reads=(Read("b", V1),)),
    ],
    "a transaction does not conflict with its own write": [Tx(reads=(Read("b", V1),), writes=(put("b"),))],
    "the first of two read-modify-writes wins": [
        Tx(reads=(Read("b", V1),), writes=(put("b"),)),
        Tx(reads=(Read("b", V1),), writes=(put("b"),), code=MVCC),
    ],
    "an unchanged range is valid": [Tx(ranges=(ALL,))],
    "a range with an open end is valid": [Tx(ranges=(RangeQuery("", "", True, SEEN),))],
    "an empty range is valid": [Tx(ranges=(RangeQuery("g", "z", True),))],
    "a key that appeared in a range is a phantom": [
        Tx(writes=(put("c"),)),
        Tx(ranges=(ALL,), code=PHANTOM),
    ],
    "a key that appeared in an empty range is a phantom": [
        Tx(writes=(put("h"),)),
        Tx(ranges=(RangeQuery("g", "z", True),), code=PHANTOM),
    ],
    "a key that appeared after the last one is a phantom": [Tx(writes=(put("y"),)), Tx(ranges=(ALL,), code=PHANTOM)],
    "a key that vanished from a range is a phantom": [
        Tx(writes=(Write("d", None),)),
        Tx(ranges=(ALL,), code=PHANTOM),
    ],
    "a key that changed within a range is a phantom": [Tx(writes=(put("d"),)), Tx(ranges=(ALL,), code=PHANTOM)],
    "a key outside the range is no phantom": [
        Tx(writes=(put("z"),)),
        Tx(ranges=(ALL,)),
    ],
    "a deleted key that was never there is no phantom": [Tx(writes=(Write("c", None),)), Tx(ranges=(ALL,))],
    "a range that was left early ends with its last key": [
        Tx(writes=(put("e"),)),
        Tx(ranges=(RangeQuery("a", "d", False, SEEN[:2]),)),
    ],
    "a change of the last key of a range left early is a phantom": [
        Tx(writes=(put("d"),)),
        Tx(ranges=(RangeQuery("a", "d", False, SEEN[:2]),), code=PHANTOM),
    ],
    "an exhausted range does not hold its end": [
        Tx(writes=(put("d"),)),
        Tx(ranges=(RangeQuery("a", "d", True, SEEN[:1]),)),
    ],
    "a range recorded with a key too few is a phantom": [
        Tx(ranges=(RangeQuery("a", "z", True, SEEN[:2]),), code=PHANTOM)
    ],
    "a range recorded with a wrong version is a phantom": [
        Tx(ranges=(RangeQuery("a", "c", True, (Read("b", V2),)),), code=PHANTOM)
    ],
    "a conflicting read is named before a phantom": [
        Tx(reads=(Read("b", None),), ranges=(RangeQuery("a", "z", True),), code=MVCC)
    ],
    "a private read of an absent key is valid": [
        Tx(collections=(CollectionRwset("col", (HashedRead(b"\x01" * 32, None),), ()),))
    ],
    "a private read of a key written earlier in the block conflicts": [
        Tx(collections=(CollectionRwset("col", (), (HashedWrite(b"\x01" * 32, b"\x02" * 32),)),)),
        Tx(collections=(CollectionRwset("col", (HashedRead(b"\x01" * 32, None),), ()),), code=MVCC),
    ],
    "a private key of another collection is another key": [
        Tx(collections=(CollectionRwset("col", (), (HashedWrite(b"\x01" * 32, b"\x02" * 32),)),)),
        Tx(collections=(CollectionRwset("other", (HashedRead(b"\x01" * 32, None),), ()),)),
    ],
}


@pytest.mark.parametrize("claim", CASES)
def test_codes_are_fabrics(claim: str) -> None:
    updates = BlockUpdates(_state(), 2)
    codes = [updates.validate(tx.rwsets, position) for position, tx in enumerate(CASES[claim])]
    assert codes == [tx.code for tx in CASES[claim]]


def test_updates_hold_the_last_valid_write_with_its_version() -> None:
    updates = BlockUpdates(_state(), 2)
    updates.validate(Tx(writes=(put("b"),)).rwsets, 0)
    updates.validate(Tx(reads=(Read("b", V1),), writes=(put("x"),)).rwsets, 1)
    updates.validate(Tx(writes=(Write("b", None),)).rwsets, 2)
    assert updates.writes == {"cc": {"b": (None, Version(2, 2))}}


def test_private_writes_are_kept_by_hash() -> None:
    updates = BlockUpdates(WorldState(), 2)
    updates.validate(Tx(collections=(CollectionRwset("col", (), (HashedWrite(b"\x01", b"\x02"),)),)).rwsets, 0)
    assert updates.writes == {hashed_namespace("cc", "col"): {"01": (b"\x02", Version(2, 0))}}


OLD, NEW = b"\x0a" * 32, b"\x0b" * 32
_PUT, _DROP = HashedWrite(b"\x01", NEW), HashedWrite(b"\x01", None)
_SET, _CLEAR = HashedMetadataWrite(b"\x01", removes=False), HashedMetadataWrite(b"\x01", removes=True)
KEPT, REPLACED, REMOVED = OLD, NEW, None
PRIVATE: dict[str, tuple[tuple[HashedWrite, ...], tuple[HashedMetadataWrite, ...], bytes | None]] = {
    "metadata set alone renew the value": ((), (_SET,), KEPT),
    "metadata removed alone renew the value": ((), (_CLEAR,), KEPT),
    "metadata beside a value": ((_PUT,), (_SET,), REPLACED),
    "metadata removed beside a value": ((_PUT,), (_CLEAR,), REPLACED),
    "metadata set twice": ((), (_SET, _SET), KEPT),
    "a value beside metadata set twice": ((_PUT,), (_SET, _SET), REPLACED),
    "metadata beside a deletion": ((_DROP,), (_SET,), REMOVED),
    "a value and a deletion": ((_PUT, _DROP), (), REMOVED),
    "a value twice renews the old one": ((_PUT, _PUT), (), KEPT),
    "a value three times is the new one": ((_PUT, _PUT, _PUT), (), REPLACED),
    "a value eight times is a deletion": ((_PUT,) * 8, (), REMOVED),
    "two deletions renew the value": ((_DROP, _DROP), (), KEPT),
    "two values and metadata renew the value": ((_PUT, _PUT), (_SET,), KEPT),
    "a value 256 times is the new one": ((_PUT,) * 256, (), REPLACED),
}
"""What Fabric's validation/tx_ops.go makes of the operations on one key that holds ``OLD``: its flags are added."""


@pytest.mark.parametrize("is_earlier_in_block", [False, True])
@pytest.mark.parametrize("case", PRIVATE)
def test_operations_on_a_private_key_add_up_as_in_fabric(case: str, *, is_earlier_in_block: bool) -> None:
    writes, metadata, expected = PRIVATE[case]
    state = WorldState()
    old = Tx(collections=(CollectionRwset("col", (), (HashedWrite(b"\x01", OLD),)),)).rwsets
    updates = BlockUpdates(state, 2)
    if is_earlier_in_block:
        updates.apply(old, 0)
    else:
        state.apply(old, V1)
    updates.apply(Tx(collections=(CollectionRwset("col", (), writes, metadata),)).rwsets, 1)
    ((value, version),) = updates.writes[hashed_namespace("cc", "col")].values()
    assert (value, version) == (expected, Version(2, 1))
    assert updates.asked_state == (expected == KEPT and not is_earlier_in_block)


@pytest.mark.parametrize(
    ("writes", "metadata"), [((), (_SET,)), ((), (_CLEAR,)), ((_PUT, _PUT), ()), ((_DROP,) * 2, ())]
)
def test_metadata_of_an_absent_private_key_change_nothing(
    writes: tuple[HashedWrite, ...], metadata: tuple[HashedMetadataWrite, ...]
) -> None:
    updates = BlockUpdates(WorldState(), 2)
    updates.apply(Tx(collections=(CollectionRwset("col", (), writes, metadata),)).rwsets, 0)
    assert (updates.writes, updates.asked_state) == ({}, True)


def test_new_metadata_of_a_private_key_are_a_new_version_for_those_who_read_it() -> None:
    state = WorldState()
    state.apply(Tx(collections=(CollectionRwset("col", (), (HashedWrite(b"\x01", OLD),)),)).rwsets, V1)
    state.apply(Tx(collections=(CollectionRwset("col", (), (), (_SET,)),)).rwsets, Version(2, 0))
    for version, code in ((V1, MVCC), (Version(2, 0), VALID)):
        read = Tx(collections=(CollectionRwset("col", (HashedRead(b"\x01", version),), ()),))
        assert BlockUpdates(state, 3).validate(read.rwsets, 0) == code


def _many(count: int) -> tuple[WorldState, list[Read]]:
    state = WorldState()
    keys = [f"k{number:05}" for number in range(count)]
    state.apply((NamespaceRwset("cc", writes=tuple(put(key) for key in keys)),), V1)
    return state, [Read(key, V1) for key in keys]


@pytest.mark.parametrize("count", [0, 1, 50, 51, 52, 101, 102, 103, 2601, 2602, 2700, 5300])
def test_a_long_range_is_recorded_as_a_digest_that_holds_until_a_key_changes(count: int) -> None:
    state, reads = _many(count)
    query = record_range("k", "l", reads, exhausted=True)
    assert (query.summary is not None) == (count > MAX_RANGE_READS)
    rwsets = (NamespaceRwset("cc", range_queries=(query,)),)
    assert parse_rwsets(serialize_rwsets(rwsets)) == rwsets
    assert BlockUpdates(state, 2).validate(rwsets, 0) == VALID
    for changed in {"k00000", "k99999", f"k{max(count - 1, 0):05}"}:
        updates = BlockUpdates(state, 2)
        updates.apply((NamespaceRwset("cc", writes=(put(changed),)),), 0)
        assert updates.validate(rwsets, 1) == PHANTOM


def test_a_digest_has_fabrics_levels() -> None:
    for count, level, hashes in ((51, 1, 1), (102, 1, 2), (2550, 1, 50), (2551, 2, 1), (2601, 2, 1), (2602, 2, 2)):
        summary = record_range("k", "l", _many(count)[1], exhausted=True).summary
        assert summary is not None
        assert (summary.max_level, len(summary.max_level_hashes)) == (level, hashes), count


def test_a_digest_of_degree_one_is_never_valid() -> None:
    state, reads = _many(60)
    summary = record_range("k", "l", reads, exhausted=True).summary
    assert summary is not None
    forged = RangeQuery("k", "l", True, (), type(summary)(1, summary.max_level, summary.max_level_hashes))
    assert BlockUpdates(state, 2).validate((NamespaceRwset("cc", range_queries=(forged,)),), 0) == PHANTOM


@pytest.mark.parametrize(
    "write",
    [
        kvrwset.KVWriteHash(key_hash=b"k", value_hash=b"v", is_delete=True),
        kvrwset.KVWriteHash(key_hash=b"k"),
        kvrwset.KVWriteHash(key_hash=b"k", value_hash=hashlib.sha256().digest()),
    ],
    ids=["says so", "no hash", "hash of nothing"],
)
def test_a_private_key_is_deleted_in_each_of_fabrics_ways(write: Any) -> None:
    message: Any = rwset.TxReadWriteSet()
    one = message.ns_rwset.add(namespace="cc").collection_hashed_rwset.add(collection_name="col")
    one.hashed_rwset = serialize(kvrwset.HashedRWSet(hashed_writes=[write]))
    (parsed,) = parse_rwsets(serialize(message))
    assert parsed.collections[0].writes == (HashedWrite(b"k", None),)
