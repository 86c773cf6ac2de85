"""Writing blocks with their state and history into ``ledger.db``, all in the caller's one SQLite transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from network.blocks.block import build_block
from network.blocks.channel_config import ChannelConfig
from network.blocks.codes import ValidationCode
from network.blocks.commit_hash import commit_hash
from network.blocks.header import BlockHeader, data_hash
from network.blocks.mvcc import BlockUpdates
from network.blocks.signature import Signer
from network.blocks.transaction import Envelope
from network.blocks.validation import ValidatedTransaction, validate_block
from network.embedded.state import StoredState, read_tip
from network.verifier.position import Tip

CONFIG_BLOCK = 0
"""The configuration is that of the genesis block; this ledger takes no updates of it."""


@dataclass(frozen=True, slots=True)
class BlockWriter:
    """Judges transactions as a committing peer does and writes the next block, signed by the ordering organisation."""

    channel: str
    config: ChannelConfig
    orderer: Signer

    def append(self, connection: sqlite3.Connection, envelopes: Sequence[bytes], nonce: bytes) -> Tip:
        """Writes one block of these envelopes in this order; the caller holds the write lock and commits.

        Raises:
            Denied, Invalid: a transaction that no channel takes; nothing may be committed then.
        """
        tip = read_tip(connection)
        header = BlockHeader(tip.number + 1, tip.header_hash, data_hash(envelopes))
        validated = validate_block(
            header.number, envelopes, channel=self.channel, config=self.config, state=StoredState(connection)
        )
        following = Tip(header.number, header.hash(), commit_hash(tip.commit_hash, validated.codes, validated.updates))
        raw = build_block(
            number=header.number,
            previous_hash=header.previous_hash,
            envelopes=envelopes,
            last_config=CONFIG_BLOCK,
            orderer=self.orderer,
            orderer_nonce=nonce,
            validation_codes=validated.codes,
            commit_hash=following.commit_hash,
        )
        write_block(connection, following, raw)
        _write_index(connection, header.number, validated.transactions)
        _write_state(connection, validated.updates)
        _write_history(connection, header.number, validated.transactions)
        return following


def write_block(connection: sqlite3.Connection, tip: Tip, raw: bytes) -> None:
    """Writes the block alone; of the genesis block this is all, since it changes no state."""
    connection.execute(
        "INSERT INTO block (number, header_hash, commit_hash, raw) VALUES (?, ?, ?, ?)",
        (tip.number, tip.header_hash, tip.commit_hash, raw),
    )


def _write_index(connection: sqlite3.Connection, number: int, transactions: Sequence[ValidatedTransaction]) -> None:
    """The first transaction of an id keeps it, as in Fabric: a duplicate does not change its predecessor's status.

    Unlike in Fabric's index, it is never that of an invalid predecessor in the same block, which does not count as the
    first to the validator either; and an id that another transaction took can only be a duplicate for its owner.
    """
    connection.executemany(
        "INSERT INTO tx (tx_id, block, tx, code) VALUES (?, ?, ?, ?) ON CONFLICT (tx_id)"
        " DO UPDATE SET tx = excluded.tx, code = excluded.code WHERE excluded.code = 0 AND tx.block = excluded.block",
        (
            (item.envelope.tx_id, number, position, int(_status(item.code, item.envelope)))
            for position, item in enumerate(transactions)
            if item.envelope is not None and item.envelope.tx_id
        ),
    )


def _status(code: ValidationCode, envelope: Envelope) -> ValidationCode:
    return code if envelope.tx_id in ("", envelope.expected_tx_id()) else ValidationCode.DUPLICATE_TXID


def _write_state(connection: sqlite3.Connection, updates: BlockUpdates) -> None:
    for namespace, writes in updates.writes.items():
        connection.executemany(
            "DELETE FROM state WHERE namespace = ? AND key = ?",
            ((namespace, key.encode()) for key, (value, _) in writes.items() if value is None),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO state (namespace, key, value, block, tx) VALUES (?, ?, ?, ?, ?)",
            (
                (namespace, key.encode(), value, version.block, version.tx)
                for key, (value, version) in writes.items()
                if value is not None
            ),
        )


def _write_history(connection: sqlite3.Connection, number: int, transactions: Sequence[ValidatedTransaction]) -> None:
    connection.executemany(
        "INSERT INTO history (namespace, key, block, tx, tx_id, timestamp_ns, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (rwset.namespace, write.key.encode(), number, position, item.tx_id, item.envelope.timestamp_ns, write.value)
            for position, item in (
                (position, result.transaction)
                for position, result in enumerate(transactions)
                if result.code is ValidationCode.VALID and result.transaction is not None
            )
            for rwset in item.rwsets
            for write in rwset.writes
        ),
    )
