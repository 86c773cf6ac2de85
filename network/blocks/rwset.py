"""Read and write sets (ledger/rwset/kvrwset/kv_rwset.proto): what a transaction read and what it would write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from domain.errors import Invalid
from network.blocks import protos
from network.blocks.protos import kvrwset, parse_into, serialize

_HASH_OF_NOTHING: Final = hashlib.sha256().digest()


class Version(NamedTuple):
    """The transaction that last wrote a key: block number and position in the block. Ordered."""

    block: int
    tx: int


@dataclass(frozen=True, slots=True)
class Read:
    """A key read and the version seen; ``None`` means that the key was absent."""

    key: str
    version: Version | None


@dataclass(frozen=True, slots=True)
class Write:
    """A key written; ``value`` is ``None`` when the key is deleted."""

    key: str
    value: bytes | None

    def __post_init__(self) -> None:
        if self.value is not None and not self.value:
            raise Invalid("an empty value means deletion in Fabric", reason="empty-value", place="write")


@dataclass(frozen=True, slots=True)
class MerkleSummary:
    """Digest of a range result of more than ``max_degree`` entries (``kvrwset.QueryReadsMerkleSummary``)."""

    max_degree: int
    max_level: int
    max_level_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """A range that was read: [start, end), or [start, end] when the caller stopped at ``end_key`` before the end."""

    start_key: str
    end_key: str
    exhausted: bool
    reads: tuple[Read, ...] = ()
    summary: MerkleSummary | None = None


@dataclass(frozen=True, slots=True)
class HashedRead:
    """A private key read, by the SHA-256 of its name."""

    key_hash: bytes
    version: Version | None


@dataclass(frozen=True, slots=True)
class HashedWrite:
    """A private key written, both sides hashed; ``value_hash`` is ``None`` when the key is deleted."""

    key_hash: bytes
    value_hash: bytes | None


@dataclass(frozen=True, slots=True)
class HashedMetadataWrite:
    """The metadata of a private key, such as an endorsement policy of its own: set, or removed."""

    key_hash: bytes
    removes: bool


@dataclass(frozen=True, slots=True)
class CollectionRwset:
    """The hashed side of one private data collection."""

    name: str
    reads: tuple[HashedRead, ...]
    writes: tuple[HashedWrite, ...]
    metadata_writes: tuple[HashedMetadataWrite, ...] = ()

    @property
    def has_writes(self) -> bool:
        """Whether validation must ask the collection's endorsement policy."""
        return bool(self.writes or self.metadata_writes)


@dataclass(frozen=True, slots=True)
class NamespaceRwset:
    """Everything a transaction read and wrote in one chaincode's namespace."""

    namespace: str
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    range_queries: tuple[RangeQuery, ...] = ()
    collections: tuple[CollectionRwset, ...] = ()
    metadata_write_keys: tuple[str, ...] = ()

    @property
    def has_writes(self) -> bool:
        """Whether validation must ask this namespace's endorsement policy, or a collection's."""
        return self.has_public_writes or any(collection.has_writes for collection in self.collections)

    @property
    def has_public_writes(self) -> bool:
        """Whether it changes what everybody reads."""
        return bool(self.writes or self.metadata_write_keys)


def parse_rwsets(raw: bytes) -> tuple[NamespaceRwset, ...]:
    """Reads ``rwset.TxReadWriteSet``; range results over the limit stay a digest.

    Raises:
        Invalid: not that message.
    """
    message = parse_into(protos.rwset.TxReadWriteSet(), raw, "TxReadWriteSet")
    return tuple(_parse_namespace(item) for item in message.ns_rwset)


def serialize_rwsets(rwsets: tuple[NamespaceRwset, ...]) -> bytes:
    """Builds ``rwset.TxReadWriteSet`` with namespaces in the given order (Fabric sorts them by name).

    Private data collections are read only by this product and never built.
    """
    message = protos.rwset.TxReadWriteSet()
    for item in rwsets:
        namespace = message.ns_rwset.add()
        namespace.namespace = item.namespace
        namespace.rwset = serialize(_build_public(item))
    return serialize(message)


def _parse_namespace(message: Any) -> NamespaceRwset:
    public = parse_into(kvrwset.KVRWSet(), message.rwset, "KVRWSet")
    return NamespaceRwset(
        namespace=message.namespace,
        reads=tuple(_parse_read(read) for read in public.reads),
        writes=tuple(Write(write.key, None if write.is_delete else write.value or None) for write in public.writes),
        range_queries=tuple(_parse_range(query) for query in public.range_queries_info),
        collections=tuple(_parse_collection(item) for item in message.collection_hashed_rwset),
        metadata_write_keys=tuple(write.key for write in public.metadata_writes),
    )


def _parse_version(message: Any) -> Version | None:
    return Version(message.version.block_num, message.version.tx_num) if message.HasField("version") else None


def _parse_read(message: Any) -> Read:
    return Read(message.key, _parse_version(message))


def _parse_range(message: Any) -> RangeQuery:
    summary = None
    if message.WhichOneof("reads_info") == "reads_merkle_hashes":
        hashes = message.reads_merkle_hashes
        summary = MerkleSummary(hashes.max_degree, hashes.max_level, tuple(hashes.max_level_hashes))
    return RangeQuery(
        start_key=message.start_key,
        end_key=message.end_key,
        exhausted=message.itr_exhausted,
        reads=tuple(_parse_read(read) for read in message.raw_reads.kv_reads),
        summary=summary,
    )


def _parse_collection(message: Any) -> CollectionRwset:
    hashed = parse_into(kvrwset.HashedRWSet(), message.hashed_rwset, "HashedRWSet")
    return CollectionRwset(
        name=message.collection_name,
        reads=tuple(HashedRead(read.key_hash, _parse_version(read)) for read in hashed.hashed_reads),
        writes=tuple(HashedWrite(write.key_hash, _value_hash(write)) for write in hashed.hashed_writes),
        metadata_writes=tuple(
            HashedMetadataWrite(write.key_hash, removes=not write.entries) for write in hashed.metadata_writes
        ),
    )


def _value_hash(message: Any) -> bytes | None:
    """An empty value means deletion, and so does its hash (Fabric rwsetutil, ``IsKVWriteHashDelete``)."""
    return None if message.is_delete or message.value_hash in (b"", _HASH_OF_NOTHING) else message.value_hash


def _build_public(item: NamespaceRwset) -> Any:
    message = kvrwset.KVRWSet()
    for read in item.reads:
        fill_read(message.reads.add(), read)
    for query in item.range_queries:
        _fill_range(message.range_queries_info.add(), query)
    for write in item.writes:
        entry = message.writes.add()
        entry.key = write.key
        entry.is_delete = write.value is None
        entry.value = write.value or b""
    return message


def fill_read(message: Any, read: Read) -> None:
    """Copies a read into ``kvrwset.KVRead``."""
    message.key = read.key
    if read.version is not None:
        message.version.block_num = read.version.block
        message.version.tx_num = read.version.tx
        message.version.SetInParent()


def _fill_range(message: Any, query: RangeQuery) -> None:
    message.start_key = query.start_key
    message.end_key = query.end_key
    message.itr_exhausted = query.exhausted
    if query.summary is not None:
        message.reads_merkle_hashes.max_degree = query.summary.max_degree
        message.reads_merkle_hashes.max_level = query.summary.max_level
        message.reads_merkle_hashes.max_level_hashes.extend(query.summary.max_level_hashes)
        return
    for read in query.reads:
        fill_read(message.raw_reads.kv_reads.add(), read)
