"""Building transactions step by step: proposal, endorsement, envelope (protoutil/proputils.go, txutils.go).

A transaction id is hex(SHA-256(nonce ‖ creator)). The proposal hash is SHA-256(channel header ‖ signature header ‖
proposal payload without transient data). An endorsement signs the proposal response payload ‖ endorser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Invalid
from network.blocks import protos
from network.blocks.protos import common, parse_into, serialize
from network.blocks.rwset import NamespaceRwset, serialize_rwsets
from network.blocks.signature import Signer

NONCE_BYTES = 24
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a client asks endorsers to execute, with the exact header bytes that signatures and hashes cover.

    ``transient`` reaches the contract and is in no hash and no block.
    """

    tx_id: str
    channel: str
    chaincode: str
    args: tuple[bytes, ...]
    creator: bytes
    timestamp_ns: int
    channel_header: bytes
    signature_header: bytes
    payload: bytes
    transient: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def hash(self) -> bytes:
        return proposal_hash(self.channel_header, self.signature_header, self.payload)

    def serialize(self) -> bytes:
        """``protos.Proposal`` with transient data: the bytes that the client signs."""
        header = common.Header(channel_header=self.channel_header, signature_header=self.signature_header)
        payload = parse_into(protos.proposal.ChaincodeProposalPayload(), self.payload, "ChaincodeProposalPayload")
        for key, value in self.transient.items():
            payload.TransientMap[key] = value
        return serialize(protos.proposal.Proposal(header=serialize(header), payload=serialize(payload)))


@dataclass(frozen=True, slots=True)
class Response:
    """``protos.Response``: the contract's answer; 200 is success."""

    status: int
    message: str = ""
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The one event that a transaction may set."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Simulation:
    """What executing a proposal gave."""

    rwsets: tuple[NamespaceRwset, ...]
    response: Response
    event: ChaincodeEvent | None = None


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A signature over proposal response payload ‖ endorser; ``endorser`` is a serialized identity."""

    endorser: bytes
    signature: bytes


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """hex(SHA-256(nonce ‖ creator)): nobody else's transaction can take this id."""
    return hashlib.sha256(nonce + creator).hexdigest()


def proposal_hash(channel_header: bytes, signature_header: bytes, payload: bytes) -> bytes:
    """What binds an endorsement to one proposal (protoutil.GetProposalHash2)."""
    return hashlib.sha256(channel_header + signature_header + payload).digest()


def propose(
    *,
    channel: str,
    chaincode: str,
    args: Sequence[bytes],
    creator: bytes,
    nonce: bytes,
    timestamp_ns: int,
    transient: Mapping[str, bytes] | None = None,
) -> Proposal:
    """Makes a proposal; ``args[0]`` is the function's name, ``nonce`` 24 fresh random bytes.

    Raises:
        Invalid: a nonce of another size.
    """
    if len(nonce) != NONCE_BYTES:
        raise Invalid(f"nonce must have {NONCE_BYTES} bytes", reason="bad-nonce", place="nonce")
    tx_id = transaction_id(nonce, creator)
    extension = protos.proposal.ChaincodeHeaderExtension()
    extension.chaincode_id.name = chaincode
    return Proposal(
        tx_id=tx_id,
        channel=channel,
        chaincode=chaincode,
        args=tuple(args),
        creator=creator,
        timestamp_ns=timestamp_ns,
        channel_header=build_channel_header(
            common.HeaderType.Value("ENDORSER_TRANSACTION"), channel, tx_id, timestamp_ns, serialize(extension)
        ),
        signature_header=build_signature_header(creator, nonce),
        payload=_proposal_payload(chaincode, args),
        transient=dict(transient or {}),
    )


def sign_proposal(proposal: Proposal, signer: Signer) -> bytes:
    """``protos.SignedProposal``: what goes to the endorsing peers."""
    raw = proposal.serialize()
    return serialize(protos.proposal.SignedProposal(proposal_bytes=raw, signature=signer.sign(raw)))


def build_response_payload(proposal: Proposal, simulation: Simulation, *, version: str) -> bytes:
    """``protos.ProposalResponsePayload``: the bytes that every endorser must produce alike.

    ``version`` is the chaincode version of the committed definition.
    """
    action = protos.proposal.ChaincodeAction()
    action.results = serialize_rwsets(simulation.rwsets)
    action.response.status = simulation.response.status
    action.response.message = simulation.response.message
    action.response.payload = simulation.response.payload
    action.chaincode_id.name = proposal.chaincode
    action.chaincode_id.version = version
    if simulation.event is not None:
        action.events = _event(proposal, simulation.event)
    payload = protos.proposal_response.ProposalResponsePayload()
    payload.proposal_hash = proposal.hash()
    payload.extension = serialize(action)
    return serialize(payload)


def endorse(response_payload: bytes, endorser: Signer) -> Endorsement:
    """Signs response payload ‖ endorser."""
    identity = endorser.identity
    return Endorsement(identity, endorser.sign(response_payload + identity))


def build_transaction(proposal: Proposal, response_payload: bytes, endorsements: Sequence[Endorsement]) -> bytes:
    """``common.Payload`` of an endorsed transaction: the bytes that the creator signs."""
    action = protos.transaction.ChaincodeActionPayload()
    action.chaincode_proposal_payload = proposal.payload
    action.action.proposal_response_payload = response_payload
    for endorsement in endorsements:
        action.action.endorsements.add(endorser=endorsement.endorser, signature=endorsement.signature)
    transaction = protos.transaction.Transaction()
    transaction.actions.add(header=proposal.signature_header, payload=serialize(action))
    return build_payload(proposal.channel_header, proposal.signature_header, serialize(transaction))


def sign_envelope(payload: bytes, signer: Signer) -> bytes:
    """``common.Envelope``: the payload with its creator's signature, as it is ordered and stored."""
    return serialize(common.Envelope(payload=payload, signature=signer.sign(payload)))


def build_payload(channel_header: bytes, signature_header: bytes, data: bytes) -> bytes:
    """``common.Payload`` from its already serialized parts."""
    header = common.Header(channel_header=channel_header, signature_header=signature_header)
    return serialize(common.Payload(header=header, data=data))


def build_channel_header(kind: int, channel: str, tx_id: str, timestamp_ns: int, extension: bytes = b"") -> bytes:
    """``common.ChannelHeader`` of epoch 0."""
    header: Any = common.ChannelHeader(type=kind, channel_id=channel, tx_id=tx_id, extension=extension)
    header.timestamp.seconds, header.timestamp.nanos = divmod(timestamp_ns, NANOSECONDS)
    return serialize(header)


def build_signature_header(creator: bytes, nonce: bytes) -> bytes:
    """``common.SignatureHeader``."""
    return serialize(common.SignatureHeader(creator=creator, nonce=nonce))


def _proposal_payload(chaincode: str, args: Sequence[bytes]) -> bytes:
    invocation = protos.chaincode.ChaincodeInvocationSpec()
    invocation.chaincode_spec.chaincode_id.name = chaincode
    invocation.chaincode_spec.input.args.extend(args)
    return serialize(protos.proposal.ChaincodeProposalPayload(input=serialize(invocation)))


def _event(proposal: Proposal, event: ChaincodeEvent) -> bytes:
    message = protos.chaincode_event.ChaincodeEvent()
    message.chaincode_id = proposal.chaincode
    message.tx_id = proposal.tx_id
    message.event_name = event.name
    message.payload = event.payload
    return serialize(message)
