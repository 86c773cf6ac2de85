"""The ordering service and committing peer of the embedded ledger: one writer at a time among all processes."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import Invalid, OutcomeUnknown
from domain.ports import RandomSource
from network.blocks.proposal import NONCE_BYTES
from network.blocks.transaction import HeaderType, parse_envelope
from network.embedded.block_writer import BlockWriter
from network.embedded.database import Database

LOCK_TIMEOUT_S = 10.0
MAX_ENVELOPE_BYTES = 4 * 1024 * 1024


class Committer:
    """Writes blocks; safe to be called from several threads and processes."""

    def __init__(self, database: Database, writer: BlockWriter, random: RandomSource) -> None:
        self._database = database
        self._writer = writer
        self._random = random

    def commit(self, envelopes: Sequence[bytes]) -> None:
        """Writes one durable block of these envelopes, in this order, whatever is decided about each.

        Raises:
            Unavailable: the file is locked or the disk refuses; nothing was written.
            OutcomeUnknown: the disk failed while the block was made durable.
            Denied, Invalid: a transaction that no channel takes; nothing was written.
        """
        with self._database.writing(LOCK_TIMEOUT_S, _commit_failed) as connection:
            self._writer.append(connection, envelopes, self._random(NONCE_BYTES))


def admit(envelope: bytes) -> str:
    """The transaction id of an envelope that the ordering service takes: readable, a contract's, of bounded size.

    Whether it is valid is decided at the commit and recorded in the block, as in Fabric.

    Raises:
        Invalid: otherwise.
    """
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise Invalid(f"envelope is larger than {MAX_ENVELOPE_BYTES} bytes", reason="too-large", place="envelope")
    read = parse_envelope(envelope)
    if read.type != HeaderType.ENDORSER_TRANSACTION:
        raise Invalid("only contracts' transactions are taken", reason="bad-type", place="envelope")
    return read.tx_id


def _commit_failed() -> OutcomeUnknown:
    return OutcomeUnknown("the block could not be made durable", tx_id="", reason="commit-failed")
