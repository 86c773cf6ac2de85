"""The port ``Ledger`` over an embedded ledger's directory.

One object serves all threads of a process; any number of processes may open one directory. Each call borrows a SQLite
connection of its own, so readers never wait for the writer; commits of one object's threads share blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from chaincode.contract import v1
from domain import jcs
from domain.errors import Invalid, Tampered
from domain.identifiers import check_msp_id
from domain.jcs import JsonObject, JsonValue
from domain.ports import Clock, CommittedBlock, RandomSource, TransactionStatus
from network.blocks import lifecycle
from network.blocks.codes import code_name
from network.blocks.proposal import NONCE_BYTES, Proposal, build_transaction, propose, sign_envelope
from network.embedded.block_writer import BlockWriter
from network.embedded.commit_queue import CommitQueue
from network.embedded.committer import Committer, admit
from network.embedded.database import Database
from network.embedded.endorser import Endorsed, Endorser, SignedProposal
from network.embedded.founding import ORDERING_ORGANISATION
from network.embedded.layout import Layout
from network.embedded.material import load_key_pair
from network.embedded.raw_blocks import wait_for_height
from network.embedded.state import StoredState, read_block, read_blocks, read_height, read_transaction_status
from network.execution import Contract, nanoseconds
from network.verifier.block_reader import BlockReader
from network.verifier.block_rules import read_canonical
from network.verifier.channel_file import read_channel_file
from network.verifier.position import Position, Tip

BROADCAST_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_BLOCKS_AT_ONCE = 16


class EmbeddedLedger:
    """The channel as one organisation sees it, over a shared file. ``KIND``: as receipts and members files name it.

    Args:
        directory: made by :func:`network.embedded.founding.init`.
        msp_id: the organisation that signs what is submitted here.
        clock: of the client and of the endorsing peers.
        random: nonces.
        contract: executes proposals; by default the product's own, version 1.
        role: whose key signs: ``node``; others have no rights in the contract.

    Raises:
        Invalid: the directory holds no ledger, one of a newer version, or no such organisation.
        Tampered: the genesis block is not the one that was founded.
        Unavailable: files cannot be read.
    """

    KIND: Final = "embedded"

    def __init__(
        self,
        directory: Path,
        msp_id: str,
        clock: Clock,
        random: RandomSource,
        *,
        contract: Contract = v1.invoke,
        role: str = "node",
    ) -> None:
        layout = Layout(directory)
        self._channel_file = read_channel_file(layout.channel)
        self._msp_id = check_msp_id(msp_id, "msp_id")
        self._clock, self._random = clock, random
        self._database = Database(layout.database)
        self._reader = BlockReader(self.channel, self._channel_file.contract, bytes.fromhex(self._channel_file.genesis))
        config = self._reader.found(self.raw_block(0)).config
        self._signer = load_key_pair(layout.identity(msp_id, role)).signer(msp_id)
        peers = [
            load_key_pair(layout.identity(member, "peer")).signer(member)
            for member in config.application_organizations.values()
        ]
        self._endorser = Endorser(self._database, self.channel, config, contract, peers, clock=clock)
        orderer = load_key_pair(layout.ordering(ORDERING_ORGANISATION, "orderer")).signer(ORDERING_ORGANISATION)
        writer = BlockWriter(self.channel, config, orderer)
        self.committer = Committer(self._database, writer, random)
        self._queue = CommitQueue(self.committer.commit)
        self._rules = config, self._definitions()
        self._verified: Position | None = None

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self._channel_file.channel

    @property
    def msp_id(self) -> str:
        """The organisation that signs what is submitted here."""
        return self._msp_id

    def __enter__(self) -> EmbeddedLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; calls after this are Unavailable."""
        self._database.close()

    def submit(self, name: str, arguments: bytes) -> str:
        """Endorses and commits a transaction; when this returns, it stands in a durable block.

        Whether it is valid is learnt from :meth:`status` or from the block.

        Raises:
            Invalid, Denied, NotFound, Conflict: the contract's own answer; nothing was broadcast.
            Unavailable: nothing was broadcast.
            OutcomeUnknown: it may be in.
        """
        return self.broadcast(self.assemble(self.endorse(self.propose(name, arguments))))

    def propose(self, name: str, arguments: bytes) -> SignedProposal:
        """First stage of :meth:`submit`: a proposal signed by the organisation."""
        proposal = self._proposal(name, arguments)
        return SignedProposal(proposal, self._signer.sign(proposal.serialize()))

    def endorse(self, signed: SignedProposal) -> Endorsed:
        """Second stage: executed, and signed by every organisation's peer.

        Raises:
            Invalid, Denied, NotFound, Conflict, Unavailable: see :meth:`submit`.
        """
        return self._endorser.endorse(signed)

    def assemble(self, endorsed: Endorsed) -> bytes:
        """Third stage: ``common.Envelope`` with the organisation's signature."""
        payload = build_transaction(endorsed.proposal, endorsed.response_payload, endorsed.endorsements)
        return sign_envelope(payload, self._signer)

    def broadcast(self, envelope: bytes) -> str:
        """Last stage: commits an envelope, valid or not, and returns its transaction id.

        Raises:
            Invalid: no envelope of a contract's transaction.
            Unavailable, OutcomeUnknown: see :meth:`submit`.
        """
        tx_id = admit(envelope)
        self._queue.broadcast(tx_id, envelope, BROADCAST_TIMEOUT_S)
        return tx_id

    def evaluate(self, name: str, arguments: JsonObject) -> JsonValue:
        """Runs a query of the contract on the present state.

        Raises:
            Invalid, Denied, NotFound: the contract's own answer.
            Unavailable: the file cannot be read.
        """
        answer = self._endorser.evaluate(self._proposal(name, jcs.canonical(arguments)))
        return jcs.load(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=jcs.MAX_SIGNED_DEPTH)

    def status(self, tx_id: str) -> TransactionStatus | None:
        """What became of a transaction, or None while it is in no block.

        Raises:
            Unavailable: the file cannot be read.
        """
        with self._database.connection() as connection:
            found = read_transaction_status(connection, tx_id)
        return None if found is None else TransactionStatus(tx_id, code_name(found[1]), found[0])

    def height(self) -> int:
        """The number of blocks.

        Raises:
            Unavailable: the file cannot be read.
        """
        with self._database.connection() as connection:
            return read_height(connection)

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """The verified blocks from ``start`` that exist now.

        The block at ``start`` must follow the block before it, as this object verified it last or else as the file
        has it.

        Raises:
            Tampered: a block does not verify, or the channel is shorter than what was read before.
            Unavailable: the file cannot be read.
        """
        if start < 0:
            raise Invalid("block numbers begin at 0", place="start")
        verified, end = self._verified, self.height()
        if max(start, 0 if verified is None else verified.tip.number + 1) > end:
            raise Tampered("blocks that were there are gone", reason="shortened", place=f"block {end}")
        position = self._position_before(start) if start < end else None
        while start < end:
            with self._database.connection() as connection:
                stored = read_blocks(connection, start, min(_BLOCKS_AT_ONCE, end - start))
            if not stored:
                raise Tampered("a block is missing", reason="missing-block", place=f"block {start}")
            for _, raw in stored:
                block, position = self._read(raw, position)
                start += 1
                yield block

    def raw_block(self, number: int) -> bytes:
        """The bytes of a block as the file has them, not verified: ``common.Block``.

        Raises:
            NotFound: there is no such block.
            Unavailable: the file cannot be read.
        """
        with self._database.connection() as connection:
            return read_block(connection, number)

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Waits until the channel is higher than ``height`` or the time is over; True if it is.

        Raises:
            Unavailable: the file cannot be read.
        """
        with self._database.connection() as connection:
            return wait_for_height(connection, height, timeout_s)

    def _proposal(self, name: str, arguments: bytes) -> Proposal:
        return propose(
            channel=self.channel,
            chaincode=self._channel_file.contract,
            args=(name.encode(), arguments),
            creator=self._signer.identity,
            nonce=self._random(NONCE_BYTES),
            timestamp_ns=nanoseconds(self._clock.now()),
        )

    def _read(self, raw: bytes, before: Position | None) -> tuple[CommittedBlock, Position]:
        block, after = self._reader.read(raw, before)
        if before is None:
            after = self._after(after.tip)
        self._verified = after
        return block, after

    def _position_before(self, start: int) -> Position | None:
        if start == 0:
            return None
        if self._verified is not None and self._verified.tip.number == start - 1:
            return self._verified
        block = read_canonical(self.raw_block(start - 1), start - 1)
        return self._after(Tip(block.number, block.header.hash(), block.commit_hash))

    def _after(self, tip: Tip) -> Position:
        """Nothing changes configuration or contract of an embedded ledger; its founding block has the definition."""
        config, definitions = self._rules
        return Position(tip, config, 0, definitions)

    def _definitions(self) -> dict[str, bytes]:
        with self._database.snapshot() as connection:
            state = StoredState(connection)
            return {key: value for key, value, _ in state.range(lifecycle.NAMESPACE, "", "")}
