"""The port ``Ledger`` over a Fabric network.

Submissions go through any peer that answers, and again if no block shows them soon. Everything else is asked of the
own peer alone, because it decides releases: blocks are verified one by one, from the genesis digest of the connection
file on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from domain import jcs
from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue
from domain.ports import Clock, CommittedBlock, RandomSource, TransactionStatus
from network.blocks.codes import ValidationCode, code_name
from network.blocks.transaction import Envelope, parse_envelope
from network.execution import nanoseconds
from network.fabric.accepted import AcceptedTransactions, Resending
from network.fabric.answers import refusal, unavailable
from network.fabric.connection import Connection
from network.fabric.gateway import CommitStatusError, GatewayError, Sources
from network.fabric.peers import Peers
from network.fabric.raw_blocks import PeerBlocks
from network.fabric.submission import Submitter
from network.fabric.trail import Trail
from network.fabric.verified_blocks import VerifiedBlocks
from network.verifier.block_reader import BlockReader
from network.verifier.block_rules import read_canonical

TRAIL_FILE: Final = "chain.db"
EVALUATE_TIMEOUT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_QUERY_SYSTEM_CHAINCODE: Final = "qscc"
_TX_ID = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = re.compile(r"no such transaction|not found", re.IGNORECASE)
"""How a peer's index says that it has no such transaction (Fabric 2.4 to 3.1)."""


class FabricLedger:
    """The channel as one organisation sees it. ``KIND``: as receipts and members files name it. Threads share it.

    Nothing is sent before a call; a peer that is down at the start is no reason not to start.

    Args:
        connection: how to reach the channel.
        clock: of the client.
        random: nonces.
        folder: of the node; keeps ``chain.db``, what was verified of the chain.

    Raises:
        Invalid: a file of the connection is none, or ``chain.db`` is of another program.
        Tampered: ``chain.db`` was altered.
        Unavailable: a file cannot be read or written.
    """

    KIND: Final = "fabric"

    def __init__(self, connection: Connection, clock: Clock, random: RandomSource, folder: Path) -> None:
        self._connection = connection
        reader = BlockReader(connection.channel, connection.contract, bytes.fromhex(connection.genesis))
        self._trail = Trail(folder / TRAIL_FILE, reader)
        self._peers = Peers(connection, Sources(clock_ns=lambda: nanoseconds(clock.now()), random=random))
        self._raw = PeerBlocks(self._peers.deliver())
        self._verified = VerifiedBlocks(self._raw, reader, self._trail)
        self._submitter = Submitter(self._peers, connection.msp)
        self._accepted = AcceptedTransactions(self._has, self._submitter.send_again)
        self._resending = Resending(self._accepted)

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self._connection.channel

    @property
    def msp_id(self) -> str:
        """The organisation that signs what is submitted here."""
        return self._connection.msp

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, every call, and the connections; later calls are Unavailable."""
        self._resending.close()
        self._raw.close()
        self._peers.close()
        self._trail.close()

    def submit(self, name: str, arguments: bytes) -> str:
        """Endorse and broadcast a transaction; its id once the ordering service has it.

        Raises:
            Invalid, Denied, NotFound, Conflict: the contract's own answer; nothing was broadcast.
            Unavailable: nothing was broadcast.
            OutcomeUnknown: it may be in.
        """
        transaction = self._submitter.submit(name, arguments)
        self._accepted.add(transaction.tx_id, transaction.envelope)
        self._resending.start()
        return transaction.tx_id

    def evaluate(self, name: str, arguments: JsonObject) -> JsonValue:
        """Run a query of the contract on the own organisation's peer.

        Raises:
            Invalid, Denied, NotFound: the contract's own answer.
            Unavailable: the peer or its contract is down.
        """
        try:
            answer = self._peers.own.contract.evaluate(
                name,
                arguments=[jcs.canonical(arguments)],
                endorsing_organizations=[self.msp_id],
                timeout_s=EVALUATE_TIMEOUT_S,
            )
        except GatewayError as error:
            raise refusal(error, self.msp_id) or unavailable(error) from error
        return jcs.load(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=jcs.MAX_SIGNED_DEPTH)

    def status(self, tx_id: str) -> TransactionStatus | None:
        """What became of a transaction, or None while it is in no block of the own peer.

        Raises:
            Unavailable: the peer is down, or too slow to say.
        """
        if not self._has(tx_id):
            return None
        try:
            found = self._peers.own.network.get_commit(tx_id).status(timeout_s=EVALUATE_TIMEOUT_S)
        except CommitStatusError as error:
            raise unavailable(error) from error
        self._raw.note(found.block_number + 1)
        code = found.code_name if found.successful else self._owners_code(tx_id, found.block_number)
        return TransactionStatus(tx_id, code, found.block_number)

    def height(self) -> int:
        """The number of blocks that the own peer has now.

        Raises:
            Unavailable: the peer is down.
        """
        return self._raw.height()

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """The verified blocks from ``start`` that exist now.

        Raises:
            Tampered: a block does not verify, or is another one than was verified before.
            Unavailable: the peer is down, or has not yet the blocks before ``start``.
        """
        for block in self._verified.blocks(start):
            self._accepted.settle(transaction.tx_id for transaction in block.transactions)
            yield block

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Wait until the own peer has more than ``height`` blocks or the time is over; True if it has."""
        return self._raw.wait_for_block(height, timeout_s)

    def _owners_code(self, tx_id: str, number: int) -> str:
        """The code of the transaction that has this id by right, where the first of that id is not valid.

        A peer's index holds every id that a header claims, a forger's too: whoever endorses sees the id early. Once it
        is taken by another one, the owner's transaction can only be a duplicate.
        """
        for raw in self._raw.range(number, number + 1):
            block = read_canonical(raw, number)
            for code, envelope in zip(block.validation_codes, map(_read_envelope, block.envelopes), strict=False):
                if envelope is not None and envelope.tx_id == envelope.expected_tx_id() == tx_id:
                    return code_name(code)
        return ValidationCode.DUPLICATE_TXID.name

    def _has(self, tx_id: str) -> bool:
        """Whether the own peer has the transaction: asked of its index, for the commit status of another would wait."""
        if not _TX_ID.fullmatch(tx_id):
            raise Invalid("a transaction id is 64 lower-case hexadecimal digits", place="tx_id")
        index = self._peers.own.network.get_contract(_QUERY_SYSTEM_CHAINCODE)
        try:
            index.evaluate(
                "GetTransactionByID",
                arguments=[self.channel, tx_id],
                endorsing_organizations=[self.msp_id],
                timeout_s=EVALUATE_TIMEOUT_S,
            )
        except GatewayError as error:
            if _UNKNOWN.search(str(error)):
                return False
            raise unavailable(error) from error
        return True


def _read_envelope(raw: bytes) -> Envelope | None:
    try:
        return parse_envelope(raw)
    except Invalid:
        return None
