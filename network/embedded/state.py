"""The world state, its history and the blocks as they stand in ``ledger.db``, read on one connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from domain.errors import Invalid, NotFound
from network.blocks.block import parse_block
from network.blocks.channel_config import ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.rwset import Version
from network.blocks.transaction import parse_envelope
from network.verifier.position import Tip


@dataclass(frozen=True, slots=True)
class Modification:
    """One committed write of a key; ``value`` is ``None`` where it was deleted."""

    tx_id: str
    timestamp_ns: int
    value: bytes | None


class StoredState:
    """Reads on a connection; consistent where that holds a transaction. Keys are ordered by their UTF-8 bytes."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def value(self, namespace: str, key: str) -> tuple[bytes, Version] | None:
        """Value and version of a key, ``None`` if it is absent."""
        row = self._connection.execute(
            "SELECT value, block, tx FROM state WHERE namespace = ? AND key = ?", (namespace, key.encode())
        ).fetchone()
        return None if row is None else (row[0], Version(row[1], row[2]))

    def get(self, namespace: str, key: str) -> bytes | None:
        """Value of a key, ``None`` if it is absent."""
        found = self.value(namespace, key)
        return None if found is None else found[0]

    def has_transaction(self, tx_id: str) -> bool:
        """Whether a transaction with this id, valid or not, is in a block."""
        return read_transaction_status(self._connection, tx_id) is not None

    def version(self, namespace: str, key: str) -> Version | None:
        """Version of a key, ``None`` if it is absent."""
        row = self._connection.execute(
            "SELECT block, tx FROM state WHERE namespace = ? AND key = ?", (namespace, key.encode())
        ).fetchone()
        return None if row is None else Version(*row)

    def range(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, bytes, Version]]:
        """Key, value and version in [start, end); an empty ``end_key`` means to the end."""
        for key, value, block, tx in self._range("key, value, block, tx", namespace, start_key, end_key):
            yield key.decode(), value, Version(block, tx)

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]:
        """Keys and versions in [start, end); an empty ``end_key`` means to the end."""
        for key, block, tx in self._range("key, block, tx", namespace, start_key, end_key):
            yield key.decode(), Version(block, tx)

    def history(self, namespace: str, key: str) -> Iterator[Modification]:
        """Every committed write of a key, newest first, as Fabric answers since 2.0."""
        rows = self._connection.execute(
            "SELECT tx_id, timestamp_ns, value FROM history WHERE namespace = ? AND key = ?"
            " ORDER BY block DESC, tx DESC",
            (namespace, key.encode()),
        )
        return (Modification(*row) for row in rows)

    def _range(self, columns: str, namespace: str, start_key: str, end_key: str) -> sqlite3.Cursor:
        end = " AND key < ?" if end_key else ""
        query = f"SELECT {columns} FROM state WHERE namespace = ? AND key >= ?{end} ORDER BY key"  # noqa: S608 - constants
        bounds = (start_key.encode(), end_key.encode()) if end_key else (start_key.encode(),)
        return self._connection.execute(query, (namespace, *bounds))


@dataclass(frozen=True, slots=True, eq=False)
class Genesis:
    """What the genesis block fixes."""

    channel: str
    config: ChannelConfig


def read_genesis(raw: bytes) -> Genesis:
    """Reads block 0.

    Raises:
        Invalid: it is no configuration block.
    """
    block = parse_block(raw)
    if block.number != 0 or len(block.envelopes) != 1:
        raise Invalid("this is no genesis block", reason="bad-genesis", place="block 0")
    envelope = parse_envelope(block.envelopes[0])
    return Genesis(envelope.channel, read_channel_config(parse_config_envelope(envelope).config))


def read_tip(connection: sqlite3.Connection) -> Tip:
    """The last block of the file."""
    row = connection.execute("SELECT number, header_hash, commit_hash FROM block ORDER BY number DESC LIMIT 1")
    return Tip(*row.fetchone())


def read_height(connection: sqlite3.Connection) -> int:
    """The number of blocks."""
    (last,) = connection.execute("SELECT max(number) FROM block").fetchone()
    return int(last) + 1


def read_blocks(connection: sqlite3.Connection, start: int, limit: int) -> list[tuple[int, bytes]]:
    """Number and bytes of at most ``limit`` blocks from ``start``."""
    rows = connection.execute(
        "SELECT number, raw FROM block WHERE number >= ? ORDER BY number LIMIT ?", (start, limit)
    ).fetchall()
    return [(int(number), bytes(raw)) for number, raw in rows]


def read_block(connection: sqlite3.Connection, number: int) -> bytes:
    """The bytes of one block.

    Raises:
        NotFound: there is no such block.
    """
    row = connection.execute("SELECT raw FROM block WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise NotFound("there is no such block", place=f"block {number}")
    return bytes(row[0])


def read_transaction_status(connection: sqlite3.Connection, tx_id: str) -> tuple[int, int] | None:
    """Block and validation code of a transaction, ``None`` while it is in no block."""
    row = connection.execute("SELECT block, code FROM tx WHERE tx_id = ?", (tx_id,)).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))
