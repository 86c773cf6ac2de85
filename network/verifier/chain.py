"""The verifier of a channel: block after block, from genesis, every rule that the bytes alone can prove.

For each block, in this order:

1. the bytes are one block in canonical encoding;
2. its number follows, and it names the hash of the header before it;
3. its data hash is the hash of its transactions;
4. the genesis block is the expected one; every other block
5. is signed by orderers as the configuration before it demands, and
6. names the latest configuration block;
7. each transaction gets the validation code that its bytes and all blocks before give it, and the filter calls the same
   ones valid; which rule an invalid one broke first is each peer's word, and so is whether the endorsements of one that
   writes private collections alone suffice: its keys may have policies of their own;
8. the commit hash, where a peer wrote one, is the hash over codes and writes;
9. each valid transaction of a contract that can be executed again gives the same result, but for those that wrote only
   a private collection and that the contract's policy did not endorse: every member can make them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from domain.errors import Denied, Invalid, Tampered, YilianError
from domain.validity import BEFORE_GENESIS, validity_after
from network.blocks.block import Block
from network.blocks.channel_config import ChannelConfig
from network.blocks.codes import ValidationCode, code_name
from network.blocks.commit_hash import commit_hash
from network.blocks.lifecycle import NAMESPACE, read_definition
from network.blocks.rwset import Version
from network.blocks.transaction import Transaction
from network.blocks.validation import UNSUPPORTED, ValidatedBlock, ValidatedTransaction, validate_block
from network.verifier.block_rules import (
    read_canonical,
    tampered,
    verify_capabilities,
    verify_genesis,
    verify_header,
    verify_last_config,
)
from network.verifier.orderer import verify_orderer_signatures
from network.verifier.replay import UNKNOWN_CONTRACT, ContractReplay, difference
from network.verifier.report import OrdererSigner, Rule, VerifiedBlock, VerifiedChain
from network.verifier.world_state import WorldState

_NO_GENESIS = "genesis: no digest was expected; whoever made these blocks chose the channel's founders"
_NO_REPLAY = "contract: no transaction was executed again"
_NO_COMMIT_HASH = "commit hashes: this copy carries none for {} blocks"
_NO_FILTER = "validation codes: this copy carries none for {} blocks; they were computed, not compared"
_ALWAYS = (
    "TLS certificates",
    "expiry of private data",
    "policies of single private keys: whether those who endorsed a write of one suffice is the peer's word",
    "time: certificates are judged at their start of validity, timestamps are the submitters' claims",
)


def verify_chain(
    blocks: Iterable[bytes],
    *,
    expected_genesis: bytes | None = None,
    replay: ContractReplay | None = None,
    on_block: Callable[[VerifiedBlock], None] | None = None,
) -> VerifiedChain:
    """Verifies serialized blocks from number 0 on.

    Args:
        blocks: ``common.Block`` in order; they are read one at a time.
        expected_genesis: header hash of block 0 as the verifier's owner knows it; without it, the report names it.
        replay: executes our contract again.
        on_block: told each block that passed, for progress and queries.

    Raises:
        Tampered: a rule is broken; ``reason`` is the ``Rule``, ``place`` the block.
        Invalid: there is no block, or one uses what this verifier does not support.
    """
    verifier = ChainVerifier(expected_genesis=expected_genesis, replay=replay)
    for raw in blocks:
        verified = verifier.add(raw)
        if on_block is not None:
            on_block(verified)
    return verifier.report()


class ChainVerifier:
    """Holds what the blocks so far have proved; ``add`` each next block."""

    def __init__(self, *, expected_genesis: bytes | None = None, replay: ContractReplay | None = None) -> None:
        self.state = WorldState()
        self._expected_genesis = expected_genesis
        self._replay = replay
        self._config: ChannelConfig | None = None
        self._channel = ""
        self._height = 0
        self._genesis_hash = self._head_hash = self._commit_hash = b""
        self._validity = BEFORE_GENESIS
        self._last_config = 0
        self._codes: Counter[str] = Counter()
        self._replayed = 0
        self._without_filter = self._without_commit_hash = 0

    @property
    def height(self) -> int:
        """Number of blocks verified."""
        return self._height

    @property
    def config(self) -> ChannelConfig:
        """The configuration after the last block.

        Raises:
            Invalid: no block was verified yet.
        """
        if self._config is None:
            raise Invalid("there is no block yet", reason="no-blocks")
        return self._config

    def add(self, raw: bytes) -> VerifiedBlock:
        """Verifies the next block and takes its effects over; after a failure the verifier is of no further use.

        Raises:
            Tampered, Invalid: see ``verify_chain``.
        """
        block = read_canonical(raw, self._height)
        verify_header(block, self._height, self._head_hash)
        if self._config is None:
            return self._add_genesis(block)
        signers = verify_orderer_signatures(block, self._config)
        validated = self._validate(block, self._config)
        changes = validated.config is not self._config
        if changes:
            verify_capabilities(validated.config, self._height)
        last_config = verify_last_config(block, self._last_config, changes=changes)
        self._check_codes(block, validated)
        digest = self._check_commit_hash(block, validated)
        replayed = self._apply(block, validated)
        self._config, self._last_config, self._commit_hash = validated.config, last_config, digest
        return self._accept(block, validated.transactions, signers, replayed)

    def report(self) -> VerifiedChain:
        """What has been proved so far.

        Raises:
            Invalid: no block was verified.
        """
        return VerifiedChain(
            channel=self._channel,
            height=self._height,
            genesis_hash=self._genesis_hash,
            head_hash=self._head_hash,
            transactions=self._codes.total(),
            codes=dict(self._codes),
            config_sequence=self.config.sequence,
            replayed=self._replayed,
            not_checked=self._not_checked(),
        )

    def _add_genesis(self, block: Block) -> VerifiedBlock:
        self._genesis_hash = block.header.hash()
        envelope, self._config = verify_genesis(block, self._expected_genesis)
        self._channel = envelope.channel
        return self._accept(block, (ValidatedTransaction(ValidationCode.VALID, envelope=envelope),), (), 0)

    def _validate(self, block: Block, config: ChannelConfig) -> ValidatedBlock:
        """7. Recomputes the codes."""
        if not block.envelopes:
            raise self._tampered("block holds no transaction", Rule.VALIDATION_CODE)
        try:
            return validate_block(
                block.number,
                block.envelopes,
                channel=self._channel,
                config=config,
                state=self.state,
                claimed=block.validation_codes,
            )
        except (Invalid, Denied) as error:
            self._raise_if_unsupported(error)
            raise self._tampered(error.detail, Rule.CONFIGURATION) from error

    def _check_codes(self, block: Block, validated: ValidatedBlock) -> None:
        """7. Compares the codes with the filter."""
        if not block.validation_codes:
            return
        if len(block.validation_codes) != len(block.envelopes):
            raise self._tampered("filter does not fit the transactions", Rule.VALIDATION_CODE)
        for position, (claimed, item) in enumerate(zip(block.validation_codes, validated.transactions, strict=True)):
            if (claimed == ValidationCode.VALID) != (item.code == ValidationCode.VALID):
                detail = f"transaction {position} is {item.code.name}, the filter says {code_name(claimed)}"
                raise self._tampered(detail, Rule.VALIDATION_CODE)

    def _check_commit_hash(self, block: Block, validated: ValidatedBlock) -> bytes:
        """8. Computed for every block, since it covers those before; compared where a peer wrote one."""
        codes = block.validation_codes or validated.codes
        expected = commit_hash(self._commit_hash, codes, validated.updates)
        if block.commit_hash not in (b"", expected):
            raise self._tampered("commit hash is not over these codes and writes", Rule.COMMIT_HASH)
        self._without_commit_hash += not block.commit_hash
        return expected

    def _apply(self, block: Block, validated: ValidatedBlock) -> int:
        """9. Executes again, each transaction on the state just before it, and takes its writes over."""
        replayed = 0
        for position, item in enumerate(validated.transactions):
            if item.transaction is None or item.code != ValidationCode.VALID:
                continue
            if item.is_endorsed or any(rwset.has_public_writes for rwset in item.transaction.rwsets):
                replayed += self._check_replay(item.transaction, position)
            self.state.apply(item.transaction.rwsets, Version(block.number, position))
        return replayed

    def _check_replay(self, transaction: Transaction, position: int) -> int:
        if self._replay is None:
            return 0
        definition = read_definition(lambda key: self.state.get(NAMESPACE, key), transaction.chaincode)
        try:
            replayed = self._replay(transaction, 0 if definition is None else definition.sequence, self.state)
        except YilianError as error:
            self._raise_if_unsupported(error)
            detail = f"transaction {position} is refused by the contract: {error.reason}"
            raise self._tampered(detail, Rule.CONTRACT) from error
        if replayed is None:
            return 0
        differs = difference(transaction, replayed)
        if differs:
            raise self._tampered(f"transaction {position}: the contract gives another {differs}", Rule.CONTRACT)
        return 1

    def _accept(
        self,
        block: Block,
        transactions: tuple[ValidatedTransaction, ...],
        signers: tuple[OrdererSigner, ...],
        replayed: int,
    ) -> VerifiedBlock:
        for item in transactions:
            self._codes[item.code.name] += 1
            if item.envelope is not None and item.envelope.tx_id:
                self.state.add_transaction(item.envelope.tx_id)
        self._replayed += replayed
        self._without_filter += not block.validation_codes
        self._head_hash = block.header.hash()
        valid = (item.code == ValidationCode.VALID for item in transactions)
        self._validity = validity_after(self._validity, self._head_hash, valid)
        self._height += 1
        return VerifiedBlock(
            number=block.number,
            header_hash=self._head_hash,
            validity=self._validity,
            transactions=transactions,
            orderer_signers=signers,
            config_sequence=self.config.sequence,
            members=self.config.members,
            replayed=replayed,
        )

    def _raise_if_unsupported(self, error: Exception) -> None:
        if isinstance(error, YilianError) and error.reason in (UNSUPPORTED, UNKNOWN_CONTRACT):
            raise Invalid(error.detail, reason=error.reason, place=f"block {self._height}") from error

    def _not_checked(self) -> tuple[str, ...]:
        found = list(_ALWAYS)
        if self._expected_genesis is None:
            found.append(_NO_GENESIS)
        if self._without_filter:
            found.append(_NO_FILTER.format(self._without_filter))
        if self._without_commit_hash:
            found.append(_NO_COMMIT_HASH.format(self._without_commit_hash))
        if not self._replayed:
            found.append(_NO_REPLAY)
        return tuple(found)

    def _tampered(self, detail: str, rule: Rule) -> Tampered:
        return tampered(detail, rule, self._height)
