"""What a transaction carries around the contract's own values: headers, proposal, layers of its messages.

Fabric signs and keeps bytes that no peer looks into. So each layer is read and written again: where other bytes come
out, it held a field that its message has not, or one that stands there twice. Fields that are free for any text, and
that nothing here uses, have to be empty. Not looked at is what signatures and certificates of members hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from domain.errors import Invalid
from network.blocks import protos
from network.blocks.proposal import NONCE_BYTES
from network.blocks.protos import common, kvrwset, parse_exactly
from network.blocks.transaction import Envelope, Transaction

_DIGEST_BYTES: Final = 32


def stray(transaction: Transaction) -> Iterator[str]:
    """Places that hold something for which there is no listed value."""
    yield from _of_header(transaction.envelope)
    yield from _of_proposal(transaction.proposal_payload)
    yield from _of_action(transaction.envelope)
    yield from _of_response(transaction.response_payload)


def _of_header(envelope: Envelope) -> Iterator[str]:
    channel, extension = common.ChannelHeader(), protos.proposal.ChaincodeHeaderExtension()
    yield from _read(channel, envelope.channel_header, "channel header")
    if channel.epoch or channel.version or len(channel.tls_cert_hash) not in (0, _DIGEST_BYTES):
        yield "channel header with a field that is not in use"
    yield from _read(extension, envelope.extension, "header extension")
    if _names_more(extension.chaincode_id):
        yield "header extension with a field that is not in use"
    yield from _read(common.SignatureHeader(), envelope.signature_header, "signature header")
    if len(envelope.nonce) != NONCE_BYTES:
        yield "nonce"
    yield from _read(common.Payload(), envelope.payload, "payload")


def _of_proposal(raw: bytes) -> Iterator[str]:
    proposal, invocation = protos.proposal.ChaincodeProposalPayload(), protos.chaincode.ChaincodeInvocationSpec()
    yield from _read(proposal, raw, "proposal")
    yield from _read(invocation, proposal.input, "invocation")
    spec = invocation.chaincode_spec
    if proposal.TransientMap or spec.timeout or spec.input.decorations or _names_more(spec.chaincode_id):
        yield "proposal with a field that is not in use"


def _of_action(envelope: Envelope) -> Iterator[str]:
    message = protos.transaction.Transaction()
    yield from _read(message, envelope.data, "transaction")
    if message.actions[0].header != envelope.signature_header:
        yield "action header"
    yield from _read(protos.transaction.ChaincodeActionPayload(), message.actions[0].payload, "action")


def _of_response(raw: bytes) -> Iterator[str]:
    response, action = protos.proposal_response.ProposalResponsePayload(), protos.proposal.ChaincodeAction()
    yield from _read(response, raw, "response")
    yield from _read(action, response.extension, "chaincode action")
    if action.chaincode_id.path:
        yield "chaincode action with a field that is not in use"
    results = protos.rwset.TxReadWriteSet()
    yield from _read(results, action.results, "results")
    for each in results.ns_rwset:
        yield from _read(kvrwset.KVRWSet(), each.rwset, "read and write set")
    yield from _read(protos.chaincode_event.ChaincodeEvent(), action.events, "event message")


def _read(message: Any, raw: bytes, what: str) -> Iterator[str]:
    """Read a layer; its name, where its bytes are not those of the fields that it has."""
    try:
        parse_exactly(message, raw, what)
    except Invalid:
        yield what


def _names_more(chaincode: Any) -> bool:
    return bool(chaincode.path or chaincode.version)
