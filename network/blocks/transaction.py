"""Reading transactions: ``common.Envelope`` down to read and write sets (core/common/validation/msgvalidation.go)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from domain.errors import Invalid
from network.blocks import protos
from network.blocks.proposal import (
    NANOSECONDS,
    ChaincodeEvent,
    Endorsement,
    Response,
    proposal_hash,
    transaction_id,
)
from network.blocks.protos import common, parse_into
from network.blocks.rwset import NamespaceRwset, parse_rwsets


class HeaderType(IntEnum):
    """``common.HeaderType``: those that may stand in a block of a channel."""

    MESSAGE = 0
    CONFIG = 1
    CONFIG_UPDATE = 2
    ENDORSER_TRANSACTION = 3


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed payload with its headers read; nothing is verified yet."""

    payload: bytes
    signature: bytes
    type: int
    channel: str
    tx_id: str
    epoch: int
    timestamp_ns: int
    extension: bytes
    creator: bytes
    nonce: bytes
    channel_header: bytes
    signature_header: bytes
    data: bytes

    def expected_tx_id(self) -> str:
        return transaction_id(self.nonce, self.creator)

    @property
    def type_name(self) -> str:
        try:
            return HeaderType(self.type).name
        except ValueError:
            return f"UNKNOWN_{self.type}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """An endorsed chaincode transaction.

    Attributes:
        envelope: headers, creator and signature.
        chaincode: the name in the channel header, which selects the endorsement policy.
        version: chaincode version that the endorsers ran.
        proposal_payload: ``ChaincodeProposalPayload`` as endorsed, without transient data.
        response_payload: bytes that the endorsements cover, together with each endorser.
        endorsements: in the order of the block.
        response: the contract's answer.
        event: the event it set, if any.
        rwsets: per namespace, in the order of the block.
    """

    envelope: Envelope
    chaincode: str
    version: str
    proposal_payload: bytes
    response_payload: bytes
    endorsements: tuple[Endorsement, ...]
    response: Response
    event: ChaincodeEvent | None
    rwsets: tuple[NamespaceRwset, ...]

    @property
    def tx_id(self) -> str:
        return self.envelope.tx_id

    @property
    def args(self) -> tuple[bytes, ...]:
        """Function name and arguments as the client sent them; a peer does not look at them at commit.

        Raises:
            Invalid: the proposal payload is not an invocation.
        """
        payload = parse_into(
            protos.proposal.ChaincodeProposalPayload(), self.proposal_payload, "ChaincodeProposalPayload"
        )
        invocation = parse_into(protos.chaincode.ChaincodeInvocationSpec(), payload.input, "ChaincodeInvocationSpec")
        return tuple(invocation.chaincode_spec.input.args)


def parse_envelope(raw: bytes) -> Envelope:
    """Reads an envelope and its headers.

    Raises:
        Invalid: a layer is not the message it should be.
    """
    envelope = parse_into(common.Envelope(), raw, "Envelope")
    payload = parse_into(common.Payload(), envelope.payload, "Payload")
    if not payload.HasField("header"):
        raise Invalid("payload has no header", reason="bad-header", place="Header")
    header = payload.header
    channel_header, signature_header = header.channel_header, header.signature_header
    channel = parse_into(common.ChannelHeader(), channel_header, "ChannelHeader")
    signature = parse_into(common.SignatureHeader(), signature_header, "SignatureHeader")
    timestamp = channel.timestamp
    return Envelope(
        payload=envelope.payload,
        signature=envelope.signature,
        type=channel.type,
        channel=channel.channel_id,
        tx_id=channel.tx_id,
        epoch=channel.epoch,
        timestamp_ns=timestamp.seconds * NANOSECONDS + timestamp.nanos,
        extension=channel.extension,
        creator=signature.creator,
        nonce=signature.nonce,
        channel_header=channel_header,
        signature_header=signature_header,
        data=payload.data,
    )


def parse_transaction(envelope: Envelope) -> Transaction:
    """Reads an endorsed transaction and checks what ties its parts together.

    One action; the endorsed proposal hash is the hash of this proposal, under the action's own header, which Fabric
    does not compare with the envelope's; the event and the endorsed chaincode carry the transaction's own names.
    Signatures and policies are not looked at.

    Raises:
        Invalid: a layer is malformed or the parts do not belong together.
    """
    message = parse_into(protos.transaction.Transaction(), envelope.data, "Transaction")
    if len(message.actions) != 1:
        raise Invalid("a transaction has exactly one action", reason="bad-transaction", place="Transaction.actions")
    header = message.actions[0].header
    signature = parse_into(common.SignatureHeader(), header, "SignatureHeader")
    if not signature.nonce or not signature.creator:
        raise Invalid("action header is incomplete", reason="bad-transaction", place="TransactionAction.header")
    payload = parse_into(
        protos.transaction.ChaincodeActionPayload(), message.actions[0].payload, "ChaincodeActionPayload"
    )
    endorsed, proposal_payload = payload.action, payload.chaincode_proposal_payload
    response_payload = endorsed.proposal_response_payload
    action = _parse_action(envelope, header, proposal_payload, response_payload)
    rwsets = parse_rwsets(action.results)
    chaincode, response = action.chaincode_id, action.response
    if not chaincode.name or not chaincode.version:
        raise Invalid("chaincode has no name or version", reason="bad-chaincode", place="chaincode_id")
    return Transaction(
        envelope=envelope,
        chaincode=chaincode.name,
        version=chaincode.version,
        proposal_payload=proposal_payload,
        response_payload=response_payload,
        endorsements=tuple(Endorsement(item.endorser, item.signature) for item in endorsed.endorsements),
        response=Response(response.status, response.message, response.payload),
        event=_parse_event(action),
        rwsets=rwsets,
    )


def _parse_action(envelope: Envelope, header: bytes, proposal_payload: bytes, response_payload: bytes) -> Any:
    message = parse_into(
        protos.proposal_response.ProposalResponsePayload(), response_payload, "ProposalResponsePayload"
    )
    expected = proposal_hash(envelope.channel_header, header, proposal_payload)
    if not proposal_payload or message.proposal_hash != expected:
        raise Invalid("endorsement is of another proposal", reason="bad-proposal-hash", place="proposal_hash")
    extension = parse_into(protos.proposal.ChaincodeHeaderExtension(), envelope.extension, "ChaincodeHeaderExtension")
    action = parse_into(protos.proposal.ChaincodeAction(), message.extension, "ChaincodeAction")
    if action.chaincode_id.name != extension.chaincode_id.name:
        raise Invalid("endorsed chaincode is another one", reason="bad-chaincode", place="chaincode_id")
    return action


def _parse_event(action: Any) -> ChaincodeEvent | None:
    if not action.events:
        return None
    event = parse_into(protos.chaincode_event.ChaincodeEvent(), action.events, "ChaincodeEvent")
    if event.chaincode_id != action.chaincode_id.name:
        raise Invalid("event names another chaincode", reason="bad-event", place="ChaincodeEvent")
    return ChaincodeEvent(event.event_name, event.payload)
