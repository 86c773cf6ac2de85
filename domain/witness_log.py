"""Entries of the witness log, and the leaves for what a block wrote (docs/formats/witness.md, "The witness log").

Entry ``n`` is block ``n`` from genesis, so that every honest witness computes the same log. A write leaf is the place
of one state write: with it a single write is proven without its block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from domain import jcs, merkle, wire
from domain.checks import check_integer, check_optional, check_sequence, check_text
from domain.identifiers import check_digest, encode_bytes

VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 1024
MAX_KEY_CHARACTERS: Final = 1024
MAX_TX_ID_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One block.

    Attributes:
        number: of the block.
        header: its header hash.
        writes: root over its write leaves.
        codes: SHA-256 of its validation codes, one byte each.
    """

    number: int
    header: str
    writes: str
    codes: str

    def __post_init__(self) -> None:
        check_integer(self.number, "number")
        for name in ("header", "writes", "codes"):
            check_digest(getattr(self, name), name)

    def encode(self) -> bytes:
        """The JCS bytes, version named."""
        return jcs.canonical({"v": VERSION, **wire.to_json(self)})

    def leaf_hash(self) -> bytes:
        """The entry's hash in the witness log."""
        return merkle.leaf_hash(self.encode())


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a valid transaction to the contract's namespace; ``value`` is None where the key was deleted."""

    transaction: int
    tx_id: str
    key: str
    value: bytes | None

    def __post_init__(self) -> None:
        check_integer(self.transaction, "transaction")
        check_text(self.tx_id, "tx_id", max_characters=MAX_TX_ID_CHARACTERS)
        check_text(self.key, "key", max_characters=MAX_KEY_CHARACTERS)

    def leaf(self) -> bytes:
        """JCS [transaction index, transaction id, key, SHA-256 of the value or null]."""
        digest = None if self.value is None else encode_bytes(hashlib.sha256(self.value).digest())
        return jcs.canonical([self.transaction, self.tx_id, self.key, digest])


@dataclass(frozen=True, slots=True)
class WriteLeaf:
    """A write leaf as it was read: the write, and the digest of its value or None where the key was deleted."""

    transaction: int
    tx_id: str
    key: str
    digest: str | None

    def __post_init__(self) -> None:
        check_integer(self.transaction, "transaction")
        check_text(self.tx_id, "tx_id", max_characters=MAX_TX_ID_CHARACTERS)
        check_text(self.key, "key", max_characters=MAX_KEY_CHARACTERS)
        check_optional(self.digest, "digest", check_digest)


def parse_write_leaf(encoded: bytes) -> WriteLeaf:
    """Read a write leaf.

    Raises:
        Invalid: not canonical, or a part breaks a rule.
    """
    transaction, tx_id, key, digest = check_sequence(jcs.parse(encoded), "leaf", max_items=4, min_items=4)
    return WriteLeaf(transaction, tx_id, key, digest)  # type: ignore[arg-type] # the constructor checks


def write_leaves(writes: Iterable[Write]) -> list[bytes]:
    """The leaves of a block's writes, by transaction, within one by key, ascending in UTF-8."""
    ordered = sorted(writes, key=lambda write: (write.transaction, write.key.encode()))
    return [write.leaf() for write in ordered]


def write_tree(leaves: Sequence[bytes]) -> merkle.MemoryTree:
    """The tree over write leaves, for its root and for paths."""
    return merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves)


def entry_of(number: int, header_hash: bytes, leaves: Sequence[bytes], codes: bytes) -> LogEntry:
    """The log entry of a block from its header hash, its write leaves and its validation codes."""
    digest = hashlib.sha256(codes).digest()
    return LogEntry(number, encode_bytes(header_hash), encode_bytes(write_tree(leaves).root()), encode_bytes(digest))


def parse_entry(encoded: bytes) -> LogEntry:
    """Read an entry.

    Raises:
        Invalid: not canonical, another version, or a field breaks a rule.
    """
    fields = jcs.parse_object(encoded, max_bytes=MAX_ENTRY_BYTES)
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    return wire.from_json(LogEntry, fields, "entry")
