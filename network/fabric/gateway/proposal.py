"""A proposal: what the contract is asked to do, for evaluation or endorsement."""

from __future__ import annotations

from typing import Any

import grpc

from network.blocks.protos import common, proposal
from network.fabric.gateway.errors import EndorseError, GatewayError, MalformedError, at_stage
from network.fabric.gateway.protos import gateway, parse_into
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import Signable, SigningIdentity
from network.fabric.gateway.transaction import Transaction, parse_prepared

_ERROR_THRESHOLD = 400


class Proposal(Signable):
    """One invocation of a contract with its transaction id.

    Attributes:
        transaction_id: hex(SHA-256(nonce ‖ creator)).
    """

    def __init__(self, rpc: Rpc, signing: SigningIdentity, channel: str, proposed: Any) -> None:
        super().__init__(signing, proposed.proposal, "proposal_bytes")
        self._rpc = rpc
        self._channel = channel
        self._proposed = proposed
        self.transaction_id: str = proposed.transaction_id

    def serialize(self) -> bytes:
        """``gateway.ProposedTransaction`` with the signature, if it has one: for ``Gateway.new_proposal``.

        It holds the transient data.
        """
        raw: bytes = self._proposed.SerializeToString()
        return raw

    def evaluate(self, *, timeout_s: float | None = None) -> bytes:
        """Runs the contract on one peer and returns its answer; nothing is written and nobody else agrees with it.

        Raises:
            GatewayError: the contract refused or failed, or could not be asked.
            SigningError: nothing signs the proposal.
        """
        self.sign()
        request = gateway.EvaluateRequest(
            transaction_id=self.transaction_id,
            channel_id=self._channel,
            proposed_transaction=self._signed,
            target_organizations=self._proposed.endorsing_organizations,
        )
        with at_stage(GatewayError, self.transaction_id):
            answer = self._rpc.evaluate(request, timeout_s).result
            _check_status(answer.status, answer.message)
        result: bytes = answer.payload
        return result

    def endorse(self, *, timeout_s: float | None = None) -> Transaction:
        """Collects the endorsements that the contract's policy asks for.

        Raises:
            EndorseError: the contract refused or failed, too few peers could be asked or agreed, or what the gateway
                peer prepared is not this proposal.
            SigningError: nothing signs the proposal.
        """
        self.sign()
        request = gateway.EndorseRequest(
            transaction_id=self.transaction_id,
            channel_id=self._channel,
            proposed_transaction=self._signed,
            endorsing_organizations=self._proposed.endorsing_organizations,
        )
        with at_stage(EndorseError, self.transaction_id):
            envelope = self._rpc.endorse(request, timeout_s).prepared_transaction
            self._check_prepared(envelope)
            prepared = gateway.PreparedTransaction(transaction_id=self.transaction_id, envelope=envelope)
            return Transaction(self._rpc, self._signing, prepared)

    def _check_prepared(self, envelope: Any) -> None:
        """The envelope is about to be signed: a gateway peer could have put another transaction into it."""
        prepared = parse_prepared(envelope)
        own = parse_into(proposal.Proposal(), self._signed.proposal_bytes, "Proposal")
        payload = parse_into(proposal.ChaincodeProposalPayload(), own.payload, "ChaincodeProposalPayload")
        endorsed = parse_into(
            proposal.ChaincodeProposalPayload(), prepared.proposal_payload, "ChaincodeProposalPayload"
        )
        if (prepared.header, endorsed.input) != (own.header, payload.input) or envelope.signature:
            raise GatewayError("the gateway peer prepared another transaction than was proposed")
        _check_status(prepared.status, "")


def parse_proposed(raw: bytes) -> tuple[str, Any]:
    """The channel of a serialized ``gateway.ProposedTransaction``, and the message itself.

    Raises:
        MalformedError: it is none, names no channel, or another transaction id than is in the proposal.
    """
    proposed = parse_into(gateway.ProposedTransaction(), raw, "ProposedTransaction")
    own = parse_into(proposal.Proposal(), proposed.proposal.proposal_bytes, "Proposal")
    header = parse_into(common.Header(), own.header, "Header")
    channel_header = parse_into(common.ChannelHeader(), header.channel_header, "ChannelHeader")
    if not channel_header.channel_id:
        raise MalformedError("the proposal names no channel")
    if channel_header.tx_id != proposed.transaction_id:
        raise MalformedError("the proposal has another transaction id than is written beside it")
    return channel_header.channel_id, proposed


def _check_status(status: int, message: str) -> None:
    """A peer answers a refusal by an error; one that passes it on as an answer must not make it a result."""
    if not 200 <= status < _ERROR_THRESHOLD:
        raise GatewayError(f"chaincode response {status}, {message}", code=grpc.StatusCode.UNKNOWN)
