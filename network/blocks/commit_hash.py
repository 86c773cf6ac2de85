"""A peer's running hash over validation codes and writes (Fabric kvledger, update_batch_bytes.go)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from network.blocks.mvcc import BlockUpdates
from network.blocks.rwset import Version

_HASHED = "$$h"


def commit_hash(previous: bytes, codes: bytes, updates: BlockUpdates) -> bytes:
    """SHA-256(varint(len(codes)) ‖ codes ‖ updates ‖ previous).

    ``previous`` is empty for the first block after genesis; the genesis block itself has no commit hash. The channel
    configuration is no part of the updates.
    """
    batch = b"".join(_field(1, entry) for entry in _entries(updates))
    return hashlib.sha256(_varint(len(codes)) + codes + batch + previous).digest()


def _entries(updates: BlockUpdates) -> Iterator[bytes]:
    """``KVWriteProto`` messages by namespace, collection and key; a name is written once, at its first entry."""
    last_namespace = last_collection = ""
    for namespace, collection in sorted(_split(name) for name in updates.writes):
        writes = updates.writes[namespace + _HASHED + collection if collection else namespace]
        names = b"" if namespace == last_namespace else _field(1, namespace.encode())
        if collection and (names or collection != last_collection):
            names += _field(2, collection.encode())
        for raw_key, key in sorted((bytes.fromhex(key) if collection else key.encode(), key) for key in writes):
            value, version = writes[key]
            content = b"\x20\x01" if value is None else _field(5, value)
            yield names + _field(3, raw_key) + content + _field(6, _version(version))
            names = b""
        last_namespace, last_collection = namespace, collection


def _split(name: str) -> tuple[str, str]:
    namespace, _, collection = name.partition(_HASHED)
    return namespace, collection


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)


@lru_cache(maxsize=1024)
def _version(version: Version) -> bytes:
    """Order-preserving: each number as its length and its bytes without leading zeros."""
    return b"".join(_ordered(number) for number in version)


def _ordered(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes((size,)) + number.to_bytes(size, "big")
