"""What a transaction does to private keys, as a committing peer adds it up (Fabric txmgmt/validation/tx_ops.go).

Any member can have a transaction ordered that writes its own collection, with any write set that it likes. So what
Fabric makes of a key that is written twice, which no honest endorser does, is part of the rules too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from network.blocks.rwset import CollectionRwset, NamespaceRwset

_UPSERT: Final = 1
_METADATA_UPDATE: Final = 2
_METADATA_DELETE: Final = 4
_DELETE: Final = 8
_FLAG_BYTE: Final = 0xFF


@dataclass(slots=True)
class KeyOperations:
    """The operations on one key. Fabric adds their flags in one byte, it does not join them: two values are an update
    of metadata, eight a deletion.
    """

    _flag: int = 0
    _written: bytes | None = None

    @property
    def is_deletion(self) -> bool:
        """The key is removed."""
        return bool(self._flag & _DELETE)

    @property
    def keeps_value(self) -> bool:
        """The key gets a new version and keeps its value, if it has one."""
        return bool(self._flag) and not self._flag & (_DELETE | _UPSERT)

    @property
    def value(self) -> bytes | None:
        """Hash of the new value, where it gets one."""
        return None if self.is_deletion else self._written

    def write(self, value_hash: bytes | None) -> None:
        """Count a value, or ``None`` for a deletion."""
        self._add(_DELETE if value_hash is None else _UPSERT)
        self._written = self._written if value_hash is None else value_hash

    def write_metadata(self, *, removes: bool) -> None:
        """Count metadata that are set or removed."""
        self._add(_METADATA_DELETE if removes else _METADATA_UPDATE)

    def _add(self, flag: int) -> None:
        self._flag = (self._flag + flag) & _FLAG_BYTE


def hashed_namespace(namespace: str, collection: str) -> str:
    """Where the hashes of a private collection live in the state; its keys are key hashes in hex."""
    return f"{namespace}$$h{collection}"


def private_operations(rwsets: tuple[NamespaceRwset, ...]) -> dict[tuple[str, str], KeyOperations]:
    """What a transaction does to each key of its private collections, by hashed namespace and key hash in hex."""
    found: dict[tuple[str, str], KeyOperations] = {}
    for rwset in rwsets:
        for collection in rwset.collections:
            _add(found, hashed_namespace(rwset.namespace, collection.name), collection)
    return found


def _add(found: dict[tuple[str, str], KeyOperations], namespace: str, collection: CollectionRwset) -> None:
    for write in collection.writes:
        found.setdefault((namespace, write.key_hash.hex()), KeyOperations()).write(write.value_hash)
    for metadata in collection.metadata_writes:
        operations = found.setdefault((namespace, metadata.key_hash.hex()), KeyOperations())
        operations.write_metadata(removes=metadata.removes)
