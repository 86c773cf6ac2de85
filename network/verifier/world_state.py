"""The world state that a verifier builds from the blocks alone, in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from network.blocks.mvcc import BlockUpdates
from network.blocks.rwset import NamespaceRwset, Version


class WorldState:
    """Keys with value and version per namespace, and the ids of all transactions seen."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, tuple[bytes, Version]]] = {}
        self._keys: dict[str, list[str]] = {}
        self._tx_ids: set[str] = set()

    def get(self, namespace: str, key: str) -> bytes | None:
        """Value of a key, ``None`` if it is absent."""
        entry = self._values.get(namespace, {}).get(key)
        return None if entry is None else entry[0]

    def version(self, namespace: str, key: str) -> Version | None:
        """Version of a key, ``None`` if it is absent."""
        entry = self._values.get(namespace, {}).get(key)
        return None if entry is None else entry[1]

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]:
        """Keys in [start, end); Python orders text by code point, which is the order of UTF-8 bytes."""
        values = self._values.get(namespace, {})
        keys = self._keys.get(namespace, [])
        stop = bisect_left(keys, end_key) if end_key else len(keys)
        for key in keys[bisect_left(keys, start_key) : stop]:
            yield key, values[key][1]

    def has_transaction(self, tx_id: str) -> bool:
        """Whether an earlier block holds a transaction with this id."""
        return tx_id in self._tx_ids

    def add_transaction(self, tx_id: str) -> None:
        """Remembers an id, of a valid or invalid transaction."""
        self._tx_ids.add(tx_id)

    def apply(self, rwsets: tuple[NamespaceRwset, ...], version: Version) -> None:
        """Takes the writes of one valid transaction over."""
        updates = BlockUpdates(self, version.block)
        updates.apply(rwsets, version.tx)
        for namespace, writes in updates.writes.items():
            for key, (value, _) in writes.items():
                self._put(namespace, key, value, version)

    def _put(self, namespace: str, key: str, value: bytes | None, version: Version) -> None:
        values = self._values.setdefault(namespace, {})
        keys = self._keys.setdefault(namespace, [])
        if value is not None:
            if key not in values:
                insort(keys, key)
            values[key] = (value, version)
        elif key in values:
            del values[key]
            del keys[bisect_left(keys, key)]
