"""Reading a peer's blocks one after the other: each is verified before anybody learns what it says.

Every byte counts as hostile: the chain of headers, the orderers' signatures, each creator's certificate and signature,
the endorsements, configuration updates, and that the recorded codes and the commit hash fit the transactions: what is
called valid is so by every rule that the block can prove. Read conflicts need the whole state before the block. To find
them again is the part of witnesses and auditors (:mod:`network.verifier.chain`), and so is to execute the contract
again. What the peer says is valid is passed on with the block, to be compared with what witnesses found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import Denied, Invalid, Tampered
from domain.ports import CommittedBlock, CommittedTransaction, StateWrite
from network.blocks import lifecycle
from network.blocks.block import Block
from network.blocks.channel_config import ChannelConfig
from network.blocks.codes import ValidationCode, code_name
from network.blocks.commit_hash import commit_hash
from network.blocks.identity import parse_identity
from network.blocks.mvcc import BlockUpdates
from network.blocks.rwset import Version
from network.blocks.transaction import Transaction
from network.blocks.validation import NEEDS_STATE, TransactionValidator, ValidatedTransaction, refuse_key_policies
from network.verifier.block_rules import (
    read_canonical,
    tampered,
    verify_capabilities,
    verify_genesis,
    verify_header,
    verify_last_config,
)
from network.verifier.orderer import verify_orderer_signatures
from network.verifier.position import Position, Tip
from network.verifier.report import Rule

FOREIGN_WRITE = "foreign-write"
_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Definitions:
    """The state that judging one transaction asks for: the contracts' definitions, and nothing of other blocks."""

    values: Mapping[str, bytes]

    def get(self, namespace: str, key: str) -> bytes | None:
        return self.values.get(key) if namespace == lifecycle.NAMESPACE else None

    def has_transaction(self, tx_id: str) -> bool:
        return False

    def version(self, namespace: str, key: str) -> Version | None:
        return None

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]:
        return iter(())


class BlockReader:
    """Verifies blocks of one channel; it keeps nothing between them, so any thread may call it.

    Args:
        contract: name of the contract whose transactions are passed on.
        genesis: header hash of block 0, known from elsewhere than the blocks.
    """

    def __init__(self, channel: str, contract: str, genesis: bytes) -> None:
        self._channel = channel
        self._contract = contract
        self._genesis = genesis

    def found(self, raw: bytes) -> Position:
        """Verifies the genesis block.

        Raises:
            Tampered: it is not the one that is known, or founds another channel.
        """
        block = read_canonical(raw, 0)
        verify_header(block, 0, b"")
        try:
            envelope, config = verify_genesis(block, self._genesis)
        except Invalid as error:
            raise Tampered(error.detail, reason=error.reason, place="block 0") from error
        if envelope.channel != self._channel:
            raise tampered("genesis block founds another channel", Rule.GENESIS, 0)
        return Position(Tip(0, block.header.hash(), b""), config)

    def read(self, raw: bytes, before: Position | None) -> tuple[CommittedBlock, Position]:
        """Verifies the block after ``before`` (None: the genesis block) and gives what concerns the contract.

        Raises:
            Tampered: it does not verify, or needs what this product does not know.
        """
        if before is None:
            founded = self.found(raw)
            return CommittedBlock(0, founded.tip.header_hash, (True,), (), founded.config.members), founded
        number = before.tip.number + 1
        block = read_canonical(raw, number)
        try:
            return self._read(block, before)
        except (Invalid, Denied) as error:
            raise Tampered(error.detail, reason=error.reason, place=f"block {number}") from error

    def _read(self, block: Block, before: Position) -> tuple[CommittedBlock, Position]:
        verify_header(block, before.tip.number + 1, before.tip.header_hash)
        if len(block.validation_codes) != len(block.envelopes) or not block.envelopes:
            raise tampered("filter does not fit the transactions", Rule.VALIDATION_CODE, block.number)
        verify_orderer_signatures(block, before.config)
        judged, config = self._judge(block, before)
        changes = config is not before.config
        last_config = verify_last_config(block, before.last_config, changes=changes)
        updates = self._verify_commit_hash(block, before, judged)
        tip = Tip(block.number, block.header.hash(), block.commit_hash)
        after = Position(tip, config, last_config, _definitions(before.definitions, updates))
        valid = tuple(code == ValidationCode.VALID for code in block.validation_codes)
        told = tuple(self._told(block, judged))
        return CommittedBlock(block.number, tip.header_hash, valid, told, config.members), after

    def _judge(self, block: Block, before: Position) -> tuple[list[ValidatedTransaction], ChannelConfig]:
        validator = TransactionValidator(self._channel, before.config, _Definitions(before.definitions))
        judged = [validator.validate(raw) for raw in block.envelopes]
        for position, (code, item) in enumerate(zip(block.validation_codes, judged, strict=True)):
            item.believe(code)
            if not _agree(code, item):
                detail = f"transaction {position} is {item.code.name}, the filter says {code_name(code)}"
                raise tampered(detail, Rule.VALIDATION_CODE, block.number)
            if code == ValidationCode.VALID:
                refuse_key_policies(item)
        if validator.config is not before.config:
            verify_capabilities(validator.config, block.number)
        return judged, validator.config

    def _verify_commit_hash(self, block: Block, before: Position, judged: list[ValidatedTransaction]) -> BlockUpdates:
        updates = BlockUpdates(_Definitions(before.definitions), block.number)
        for position, (code, item) in enumerate(zip(block.validation_codes, judged, strict=True)):
            if code == ValidationCode.VALID and item.transaction is not None:
                updates.apply(item.transaction.rwsets, position)
        digest = commit_hash(before.tip.commit_hash, block.validation_codes, updates)
        if updates.asked_state and len(block.commit_hash) == _SHA256_BYTES:
            return updates  # over the hash of a private value that only the world state holds: the peer's word
        if block.commit_hash != digest:
            raise tampered("commit hash is not over these codes and writes", Rule.COMMIT_HASH, block.number)
        return updates

    def _told(self, block: Block, judged: list[ValidatedTransaction]) -> Iterator[CommittedTransaction]:
        for code, item in zip(block.validation_codes, judged, strict=True):
            told = self._concerning(code, item, block.number)
            if told is not None:
                yield told

    def _concerning(self, code: int, item: ValidatedTransaction, number: int) -> CommittedTransaction | None:
        """A transaction of the contract. An invalid one that cannot be read is passed over, and a valid one that only
        wrote a private collection: any member can have either ordered, and it must stop nobody. Endorsed by the policy,
        it is an alarm.
        """
        transaction, valid = item.transaction, code == ValidationCode.VALID
        if transaction is None:
            return None
        if transaction.chaincode != self._contract:
            if valid and any(one.namespace == self._contract and one.has_public_writes for one in transaction.rwsets):
                detail = "another contract wrote the contract's state"
                raise Tampered(detail, reason=FOREIGN_WRITE, place=f"block {number}")
            return None
        if valid and not item.is_endorsed:
            return None
        try:
            return _committed(code, transaction)
        except (Invalid, Tampered):
            if valid:
                raise
            return None


def _agree(code: int, item: ValidatedTransaction) -> bool:
    """Whether the filter's code may stand beside ours.

    Why a transaction is invalid is each peer's word: Fabric asks the policies of its namespaces in random order, and no
    member's transaction must stop everybody.
    """
    if item.code == ValidationCode.VALID:
        return code == ValidationCode.VALID or (code in NEEDS_STATE and item.transaction is not None)
    return code != ValidationCode.VALID


def _definitions(before: Mapping[str, bytes], updates: BlockUpdates) -> Mapping[str, bytes]:
    """The definitions after a block: the same object where the block changes none."""
    written = {key: value for key, (value, _) in updates.writes.get(lifecycle.NAMESPACE, {}).items()}
    if all(before.get(key) == value for key, value in written.items()):
        return before
    return {key: value for key, value in {**before, **written}.items() if value is not None}


def _committed(code: int, transaction: Transaction) -> CommittedTransaction:
    if len(transaction.args) != 2:
        raise Tampered("a transaction of the contract has a name and an argument", reason="bad-arguments")
    valid = code == ValidationCode.VALID
    name, arguments = transaction.args
    writes = [
        StateWrite(write.key, write.value)
        for rwset in transaction.rwsets
        if rwset.namespace == transaction.chaincode and valid
        for write in rwset.writes
    ]
    event = transaction.event if valid else None
    return CommittedTransaction(
        tx_id=transaction.tx_id,
        code=code_name(code),
        creator=parse_identity(transaction.envelope.creator).msp_id,
        name=name.decode(errors="replace"),
        arguments=arguments,
        submitted_at=_moment(transaction.envelope.timestamp_ns),
        writes=tuple(writes),
        event=None if event is None else (event.name, event.payload),
    )


def _moment(timestamp_ns: int) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Tampered("timestamp is no point in time", reason="bad-timestamp") from error
