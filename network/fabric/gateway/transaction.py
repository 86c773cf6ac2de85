"""An endorsed transaction: the envelope that is signed, kept and ordered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from network.blocks.protos import common, proposal, proposal_response, transaction
from network.fabric.gateway.commit import Commit, request_commit
from network.fabric.gateway.errors import MalformedError, SubmitError, at_stage
from network.fabric.gateway.protos import gateway, parse_into
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import Signable, SigningIdentity


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """What an endorsed envelope says.

    Attributes:
        header: ``common.Header``, of the proposal.
        proposal_payload: ``ChaincodeProposalPayload`` without transient data, of the proposal.
        status, result: the contract's answer, the same from every endorser.
    """

    channel: str
    transaction_id: str
    header: bytes
    proposal_payload: bytes
    status: int
    result: bytes


class Transaction(Signable):
    """An endorsed transaction, which the ordering service can be given.

    Attributes:
        transaction_id: its id on the channel.
        result: what the contract answered; true on the channel only once the transaction is committed as valid.
        commit: asks for its status, also when ``submit`` failed.
    """

    def __init__(self, rpc: Rpc, signing: SigningIdentity, prepared: Any) -> None:
        super().__init__(signing, prepared.envelope, "payload")
        parsed = parse_prepared(prepared.envelope)
        self._rpc = rpc
        self._prepared = prepared
        if prepared.transaction_id != parsed.transaction_id:
            raise MalformedError("the transaction has another id than is written beside it")
        self._channel = parsed.channel
        self.transaction_id = parsed.transaction_id
        self.result = parsed.result
        self.commit = request_commit(rpc, signing, parsed.channel, self.transaction_id)

    def serialize(self) -> bytes:
        """``gateway.PreparedTransaction`` with the signature, if it has one.

        Kept after ``sign``, these bytes are the one transaction that may be submitted again, through any gateway
        (``Gateway.new_transaction``): the channel takes it at most once.
        """
        raw: bytes = self._prepared.SerializeToString()
        return raw

    def submit(self, *, timeout_s: float | None = None) -> Commit:
        """Hands the transaction to the ordering service; success means accepted, not committed.

        Raises:
            SubmitError: no acknowledgement; the transaction may still be committed: ask ``commit``.
            SigningError: nothing signs the transaction.
        """
        self.sign()
        request = gateway.SubmitRequest(
            transaction_id=self.transaction_id, channel_id=self._channel, prepared_transaction=self._signed
        )
        with at_stage(SubmitError, self.transaction_id):
            self._rpc.submit(request, timeout_s)
        return self.commit


def parse_prepared(envelope: Any) -> PreparedTransaction:
    """Reads an endorsed envelope.

    Raises:
        MalformedError: a layer is not what it should be, or there is not exactly one action.
    """
    payload = parse_into(common.Payload(), envelope.payload, "Payload")
    header = parse_into(common.ChannelHeader(), payload.header.channel_header, "ChannelHeader")
    actions = parse_into(transaction.Transaction(), payload.data, "Transaction").actions
    if len(actions) != 1:
        raise MalformedError("a transaction has exactly one action")
    action = parse_into(transaction.ChaincodeActionPayload(), actions[0].payload, "ChaincodeActionPayload")
    endorsed = parse_into(
        proposal_response.ProposalResponsePayload(), action.action.proposal_response_payload, "ProposalResponsePayload"
    )
    answer = parse_into(proposal.ChaincodeAction(), endorsed.extension, "ChaincodeAction").response
    return PreparedTransaction(
        channel=header.channel_id,
        transaction_id=header.tx_id,
        header=payload.header.SerializeToString(),
        proposal_payload=action.chaincode_proposal_payload,
        status=answer.status,
        result=answer.payload,
    )
