"""Reading blocks back: each is verified before anybody learns what it says.

Every byte of the file counts as hostile: the chain of headers, the ordering organisation's signature, each creator's
certificate and signature, the endorsements, and that the recorded codes and the commit hash fit the transactions.
Read conflicts need the state before the block; replaying them is the auditor's part (network.verifier).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import Denied, Invalid, Tampered
from domain.ports import CommittedBlock, CommittedTransaction, StateWrite
from network.blocks import lifecycle
from network.blocks.block import Block, parse_block
from network.blocks.channel_config import ChannelConfig
from network.blocks.codes import ValidationCode, code_name
from network.blocks.commit_hash import commit_hash
from network.blocks.identity import parse_identity
from network.blocks.mvcc import BlockUpdates
from network.blocks.policy import SignedData, signers
from network.blocks.protos import common, parse_into
from network.blocks.rwset import Version
from network.blocks.transaction import Transaction
from network.blocks.validation import TransactionValidator, ValidatedTransaction
from network.embedded.state import Tip

BLOCK_VALIDATION = "/Channel/Orderer/BlockValidation"
_NEEDS_STATE = (
    ValidationCode.MVCC_READ_CONFLICT, ValidationCode.PHANTOM_READ_CONFLICT, ValidationCode.DUPLICATE_TXID,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Definitions:
    """The state that judging one transaction asks for: the contract's definition, and nothing of other blocks."""

    values: dict[str, bytes]

    def get(self, namespace: str, key: str) -> bytes | None:
        return self.values.get(key) if namespace == lifecycle.NAMESPACE else None

    def has_transaction(self, tx_id: str) -> bool:
        return False

    def version(self, namespace: str, key: str) -> Version | None:
        return None

    def scan(self, namespace: str, start_key: str, end_key: str) -> Iterator[tuple[str, Version]]:
        return iter(())


class BlockReader:
    """Verifies blocks of one channel, one after the other.

    Args:
        contract: name of the contract whose transactions are passed on.
        definitions: what namespace ``_lifecycle`` holds, key by key.
    """

    def __init__(self, channel: str, config: ChannelConfig, contract: str, definitions: dict[str, bytes]) -> None:
        self._channel = channel
        self._config = config
        self._contract = contract
        self._state = _Definitions(definitions)

    def read(self, raw: bytes, previous: Tip) -> tuple[CommittedBlock, Tip]:
        """Verifies the block after ``previous`` and gives what concerns the contract.

        Raises:
            Tampered: it does not verify.
        """
        number = previous.number + 1
        try:
            return self._read(parse_block(raw), previous)
        except (Invalid, Denied) as error:
            raise Tampered(error.detail, reason=error.reason, place=f"block {number}") from error

    def _read(self, block: Block, previous: Tip) -> tuple[CommittedBlock, Tip]:
        self._verify_chain(block, previous)
        verify_orderer(block, self._config)
        judged = self._judge(block)
        tip = Tip(block.number, block.header.hash(), block.commit_hash)
        self._verify_commit_hash(block, previous, judged)
        told = (
            self._concerning(code, item.transaction)
            for code, item in zip(block.validation_codes, judged, strict=True)
            if item.transaction is not None
        )
        return CommittedBlock(block.number, tip.header_hash, tuple(item for item in told if item is not None)), tip

    def _concerning(self, code: int, transaction: Transaction) -> CommittedTransaction | None:
        """A transaction of the contract. An invalid one that cannot be read is passed over: any member can have one
        ordered, and it must stop nobody; endorsed by the policy, it is an alarm.
        """
        valid = code == ValidationCode.VALID
        if transaction.chaincode != self._contract:
            if valid and any(item.namespace == self._contract and item.has_writes for item in transaction.rwsets):
                raise Tampered("another contract wrote the contract's state", reason="foreign-write")
            return None
        try:
            return _committed(code, transaction)
        except (Invalid, Tampered):
            if valid:
                raise
            return None

    def _verify_chain(self, block: Block, previous: Tip) -> None:
        place = f"block {previous.number + 1}"
        if block.number != previous.number + 1 or block.header.previous_hash != previous.header_hash:
            raise Tampered("block does not follow its predecessor", reason="broken-chain", place=place)
        if block.header.data_hash != block.data_hash():
            raise Tampered("block holds other transactions", reason="bad-data-hash", place=place)
        if len(block.validation_codes) != len(block.envelopes):
            raise Tampered("block has not one code per transaction", reason="bad-filter", place=place)

    def _judge(self, block: Block) -> list[ValidatedTransaction]:
        validator = TransactionValidator(self._channel, self._config, self._state)
        judged = [validator.validate(raw) for raw in block.envelopes]
        for position, (code, item) in enumerate(zip(block.validation_codes, judged, strict=True)):
            expected = ValidationCode.VALID if code in _NEEDS_STATE else code
            if item.code != expected and code != ValidationCode.DUPLICATE_TXID:
                place = f"block {block.number}, transaction {position}"
                raise Tampered(f"code {code_name(code)} does not fit", reason="bad-code", place=place)
        return judged

    def _verify_commit_hash(self, block: Block, previous: Tip, judged: list[ValidatedTransaction]) -> None:
        updates = BlockUpdates(self._state, block.number)
        for position, (code, item) in enumerate(zip(block.validation_codes, judged, strict=True)):
            if code == ValidationCode.VALID and item.transaction is not None:
                updates.apply(item.transaction.rwsets, position)
        if block.commit_hash != commit_hash(previous.commit_hash, block.validation_codes, updates):
            place = f"block {block.number}"
            raise Tampered("codes and writes do not fit the commit hash", reason="bad-commit-hash", place=place)


def verify_orderer(block: Block, config: ChannelConfig) -> None:
    """Checks that the ordering organisation signed this header (policy BlockValidation).

    Raises:
        Tampered: it did not.
    """
    policy = config.policy(BLOCK_VALIDATION)
    der = block.header.der()
    signed = [
        SignedData(
            item.message(block.signed_value, der),
            parse_into(common.SignatureHeader(), item.signature_header, "SignatureHeader").creator,
            item.signature,
        )
        for item in block.signatures
    ]
    if policy is None or not policy.satisfied_by(signers(signed, config.msps)):
        raise Tampered("no orderer signed the block", reason="bad-orderer-signature", place=f"block {block.number}")


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
