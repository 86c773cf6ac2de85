"""What a committing peer decides about each transaction of a block (Fabric core/committer/txvalidator/v20, kvledger).

The order of the rules is Fabric's, because the first broken rule gives the code: envelope and headers, creator's
signature, transaction id, structure, channel, duplicates in the ledger, endorsement policies, duplicates in the block,
read conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.errors import Denied, Invalid, Tampered
from network.blocks import lifecycle
from network.blocks.channel_config import ChannelConfig
from network.blocks.codes import ValidationCode
from network.blocks.config_update import apply_config_transaction
from network.blocks.member import Member, verify_member
from network.blocks.mvcc import BlockUpdates, CommittedState
from network.blocks.policy import Policy, SignedData, signers
from network.blocks.protos import collection as collections
from network.blocks.protos import parse_into, serialize
from network.blocks.rwset import CollectionRwset, NamespaceRwset
from network.blocks.transaction import Envelope, HeaderType, Transaction, parse_envelope, parse_transaction

_IMPLICIT_COLLECTION = "_implicit_org_"
_ENVELOPE_CODES = {
    "Envelope": ValidationCode.INVALID_OTHER_REASON,
    "Payload": ValidationCode.BAD_PAYLOAD,
}
_TRANSACTION_CODES = {
    "ChaincodeHeaderExtension": ValidationCode.BAD_HEADER_EXTENSION,
    "ChaincodeAction": ValidationCode.BAD_RESPONSE_PAYLOAD,
    "TxReadWriteSet": ValidationCode.BAD_RWSET,
    "KVRWSet": ValidationCode.BAD_RWSET,
    "HashedRWSet": ValidationCode.BAD_RWSET,
    "chaincode_id": ValidationCode.INVALID_CHAINCODE,
    "ChaincodeEvent": ValidationCode.INVALID_OTHER_REASON,
}


UNSUPPORTED = "unsupported"
"""Reason of an error that says: Fabric knows this, the product does not; which is no tampering."""

NEEDS_STATE = (
    ValidationCode.MVCC_READ_CONFLICT, ValidationCode.PHANTOM_READ_CONFLICT, ValidationCode.DUPLICATE_TXID,
)  # fmt: skip
"""Codes of a transaction that is in order, but for what else is in the ledger."""


class LedgerState(CommittedState, Protocol):
    """What validation asks about everything before the block."""

    def has_transaction(self, tx_id: str) -> bool:
        """Whether a transaction with this id, valid or not, is in an earlier block."""
        ...


@dataclass(slots=True)
class ValidatedTransaction:
    """A transaction with its code; what could not be read is ``None``.

    Attributes:
        is_endorsed: whether the policy of its chaincode is fulfilled. One that writes nothing but a private collection
            with a policy of its own may be valid without: every member can write the collection that Fabric gives it.
        is_private: whether it writes private collections and nothing that everybody reads. Each of its keys may have an
            endorsement policy of its own, which the collection's members set and which this product does not keep; so
            whether the endorsements suffice is the filter's word, where there is one.
    """

    code: ValidationCode
    reason: str = ""
    envelope: Envelope | None = None
    transaction: Transaction | None = None
    is_endorsed: bool = False
    is_private: bool = False

    def believe(self, claimed: int) -> None:
        """Takes the filter's word for whether endorsements suffice, and for nothing else."""
        if self.is_private:
            endorsed = claimed in (ValidationCode.VALID, *NEEDS_STATE)
            self.code = ValidationCode.VALID if endorsed else ValidationCode.ENDORSEMENT_POLICY_FAILURE


@dataclass(frozen=True, slots=True)
class ValidatedBlock:
    """The codes of a block, what its valid transactions write, and the configuration after it."""

    transactions: tuple[ValidatedTransaction, ...]
    updates: BlockUpdates
    config: ChannelConfig

    @property
    def codes(self) -> bytes:
        """TRANSACTIONS_FILTER."""
        return bytes(item.code for item in self.transactions)


class _Rejected(Exception):
    def __init__(self, code: ValidationCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def validate_block(
    number: int,
    envelopes: Sequence[bytes],
    *,
    channel: str,
    config: ChannelConfig,
    state: LedgerState,
    claimed: bytes = b"",
) -> ValidatedBlock:
    """Judges every transaction of a block after genesis.

    Args:
        claimed: the filter of a peer, if there is one; see ``ValidatedTransaction.is_private``.

    Raises:
        Denied: a configuration transaction lacks signatures; a peer would stop here.
        Invalid: a configuration transaction is malformed, or a transaction sets endorsement policies of public keys,
            which this product neither uses nor judges.
    """
    validator = TransactionValidator(channel, config, state)
    validated = [validator.validate(raw) for raw in envelopes]
    for item, code in zip(validated, claimed, strict=False):
        item.believe(code)
    _mark_duplicates(validated)
    updates = BlockUpdates(state, number)
    for position, item in enumerate(validated):
        if item.code == ValidationCode.VALID and item.transaction is not None:
            item.code = updates.validate(item.transaction.rwsets, position)
            refuse_key_policies(item)
    return ValidatedBlock(tuple(validated), updates, validator.config)


def refuse_key_policies(item: ValidatedTransaction) -> None:
    """Only a valid transaction can set one: an invalid one that tries must not stop anybody's verification. Neither
    must a private key's: every member can set those of its own collection alone.

    Raises:
        Invalid: this product neither uses nor judges key-level endorsement policies of public keys.
    """
    if item.code != ValidationCode.VALID or item.transaction is None:
        return
    for rwset in item.transaction.rwsets:
        if rwset.metadata_write_keys:
            raise Invalid("endorsement policies of public keys are not supported", reason=UNSUPPORTED, place="rwset")


@dataclass(slots=True)
class TransactionValidator:
    """Judges single transactions against the state before their block, all but read conflicts."""

    channel: str
    config: ChannelConfig
    state: LedgerState
    _definitions: dict[str, lifecycle.ChaincodeDefinition | None] = field(default_factory=dict)

    def validate(self, raw: bytes) -> ValidatedTransaction:
        """Every rule that needs no other transaction of the block."""
        result = ValidatedTransaction(ValidationCode.VALID)
        try:
            result.envelope = envelope = _read_envelope(raw)
            self._check_creator(envelope)
            if envelope.type == HeaderType.ENDORSER_TRANSACTION:
                result.transaction = transaction = self._read_transaction(envelope)
                self._check_endorsements(result, transaction)
            elif envelope.type == HeaderType.CONFIG:
                self._check_channel(envelope)
                self.config = apply_config_transaction(self.config, envelope)
            else:
                raise _Rejected(ValidationCode.UNSUPPORTED_TX_PAYLOAD, "type of transaction")
        except _Rejected as rejected:
            result.code, result.reason = rejected.code, rejected.reason
        return result

    def _check_creator(self, envelope: Envelope) -> None:
        try:
            member = verify_member(envelope.creator, self.config.msps)
            member.verify_signature(envelope.signature, envelope.payload)
        except (Denied, Tampered) as error:
            raise _Rejected(ValidationCode.BAD_CREATOR_SIGNATURE, error.reason) from error

    def _read_transaction(self, envelope: Envelope) -> Transaction:
        if envelope.tx_id != envelope.expected_tx_id():
            raise _Rejected(ValidationCode.BAD_PROPOSAL_TXID, "transaction id")
        try:
            transaction = parse_transaction(envelope)
        except Invalid as error:
            code = _TRANSACTION_CODES.get(error.place, ValidationCode.INVALID_ENDORSER_TRANSACTION)
            raise _Rejected(code, error.reason) from error
        self._check_channel(envelope)
        if self.state.has_transaction(envelope.tx_id):
            raise _Rejected(ValidationCode.DUPLICATE_TXID, "id is in the ledger")
        return transaction

    def _check_channel(self, envelope: Envelope) -> None:
        if envelope.channel != self.channel:
            raise _Rejected(ValidationCode.TARGET_CHAIN_NOT_FOUND, "channel")

    def _check_endorsements(self, result: ValidatedTransaction, transaction: Transaction) -> None:
        """Checks every policy that Fabric asks where no key has its own, and notes in the result what else is known."""
        written = {rwset.namespace: rwset for rwset in transaction.rwsets if rwset.has_writes}
        if len({rwset.namespace for rwset in transaction.rwsets}) != len(transaction.rwsets):
            raise _Rejected(ValidationCode.ILLEGAL_WRITESET, "namespace twice")
        message = transaction.response_payload
        signed = [
            SignedData(message + item.endorser, item.endorser, item.signature) for item in transaction.endorsements
        ]
        members = signers(signed, self.config.msps)
        if transaction.chaincode not in written:
            self._check_namespace(NamespaceRwset(transaction.chaincode), members)
        result.is_endorsed = self._is_endorsed(transaction.chaincode, members)
        result.is_private = bool(written) and not any(rwset.has_public_writes for rwset in written.values())
        for namespace in sorted(written):
            self._check_namespace(written[namespace], members)

    def _is_endorsed(self, chaincode: str, members: Sequence[Member]) -> bool:
        try:
            return self._namespace_policy(chaincode).satisfied_by(members)
        except (_Rejected, Invalid):
            return False

    def _check_namespace(self, rwset: NamespaceRwset, members: Sequence[Member]) -> None:
        """The chaincode's policy for public writes, and whenever no collection has a policy of its own to ask."""
        try:
            policy = self._namespace_policy(rwset.namespace)
            written = [item for item in rwset.collections if item.has_writes]
            asked = [self._collection_policy(rwset.namespace, item, policy) for item in written]
        except Invalid as error:
            if error.reason == UNSUPPORTED:
                raise
            raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, error.reason) from error
        if rwset.writes or rwset.metadata_write_keys or not asked:
            asked.append(policy)
        if not all(item.satisfied_by(members) for item in asked):
            raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, rwset.namespace)

    def _definition(self, chaincode: str) -> lifecycle.ChaincodeDefinition | None:
        if chaincode not in self._definitions:
            self._definitions[chaincode] = lifecycle.read_definition(
                lambda key: self.state.get(lifecycle.NAMESPACE, key), chaincode
            )
        return self._definitions[chaincode]

    def _namespace_policy(self, namespace: str) -> Policy:
        if namespace == lifecycle.NAMESPACE:
            policy = self.config.policy(lifecycle.LIFECYCLE_ENDORSEMENT)
            if policy is None:
                raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, "no lifecycle policy")
            return policy
        definition = self._definition(namespace)
        if definition is None or not definition.validation_parameter:
            raise _Rejected(ValidationCode.INVALID_CHAINCODE, "no definition")
        policy = self.config.application_policy(definition.validation_parameter)
        if policy is None:
            raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, "policy is missing")
        return policy

    def _collection_policy(self, namespace: str, rwset: CollectionRwset, default: Policy) -> Policy:
        if rwset.name.startswith(_IMPLICIT_COLLECTION):
            return self._implicit_policy(rwset.name.removeprefix(_IMPLICIT_COLLECTION))
        definition = self._definition(namespace)
        package = parse_into(
            collections.CollectionConfigPackage(), definition.collections if definition else b"", "Collections"
        )
        for item in package.config:
            static = item.static_collection_config
            if static.name == rwset.name:
                if not static.HasField("endorsement_policy"):
                    return default
                own = self.config.application_policy(serialize(static.endorsement_policy))
                if own is not None:
                    return own
        raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, "collection is not defined")

    def _implicit_policy(self, msp_id: str) -> Policy:
        for name, organization in self.config.application_organizations.items():
            if organization == msp_id:
                own = self.config.policy(f"/Channel/Application/{name}/Endorsement")
                if own is not None:
                    return own
        raise _Rejected(ValidationCode.ENDORSEMENT_POLICY_FAILURE, "organisation of the collection")


def _read_envelope(raw: bytes) -> Envelope:
    try:
        envelope = parse_envelope(raw)
    except Invalid as error:
        raise _Rejected(_ENVELOPE_CODES.get(error.place, ValidationCode.BAD_COMMON_HEADER), error.reason) from error
    known = (HeaderType.CONFIG, HeaderType.CONFIG_UPDATE, HeaderType.ENDORSER_TRANSACTION)
    if envelope.type not in known or envelope.epoch != 0 or not envelope.nonce or not envelope.creator:
        raise _Rejected(ValidationCode.BAD_COMMON_HEADER, "header field")
    return envelope


def _mark_duplicates(validated: list[ValidatedTransaction]) -> None:
    seen: set[str] = set()
    for item in validated:
        if item.code != ValidationCode.VALID or item.transaction is None:
            continue
        if item.transaction.tx_id in seen:
            item.code, item.reason = ValidationCode.DUPLICATE_TXID, "id is earlier in the block"
        seen.add(item.transaction.tx_id)
