"""From a TRANSACTION message to what the contract is asked, by whom and when, read out of the signed proposal.

The peer verified the proposal's signature and its creator's membership. What it forwards beside the proposal must say
the same: another contract on the channel could else have ours write in the name of a hospital that signed something
else, and an auditor, who replays what was signed, would find another result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chaincode.service.message import Message
from chaincode.stub import Creator
from domain.errors import Denied, Invalid
from network.blocks import protos
from network.blocks.identity import parse_identity
from network.blocks.proposal import NANOSECONDS, transaction_id
from network.blocks.protos import common, parse_into
from network.execution import creator_of, moment, read_invocation

_TX_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation of the contract.

    Attributes:
        timestamp_ns: the submitter's claim, in nanoseconds since 1970.
        transient: what the submitter sent besides; it is in no block.
    """

    tx_id: str
    channel: str
    timestamp_ns: int
    creator: Creator
    name: str
    arguments: bytes = field(repr=False)
    transient: Mapping[str, bytes] = field(repr=False)

    @property
    def timestamp(self) -> datetime:
        """The submitter's claim in UTC."""
        return moment(self.timestamp_ns)


def is_transaction_id(text: str) -> bool:
    """Whether a text has the form of a transaction id, so that it may stand in a log."""
    return _TX_ID.fullmatch(text) is not None


def parse_invocation(message: Message, contract: str) -> Invocation:
    """Read an invocation of the contract that the channel knows under the name ``contract``.

    Raises:
        Invalid: the message holds no proposal, or does not say what the proposal says.
        Denied: the proposal is for another contract.
    """
    if not is_transaction_id(message.tx_id):
        raise Invalid("a transaction id is 64 hexadecimal digits", reason="bad-proposal", place="tx_id")
    proposal = parse_into(protos.proposal.Proposal(), message.proposal, "Proposal")
    header = parse_into(common.Header(), proposal.header, "Header")
    channel_header = _channel_header(header.channel_header, message, contract)
    payload = parse_into(protos.proposal.ChaincodeProposalPayload(), proposal.payload, "ChaincodeProposalPayload")
    name, arguments = read_invocation(_arguments(payload.input, message.payload))
    return Invocation(
        tx_id=message.tx_id,
        channel=message.channel,
        timestamp_ns=channel_header.timestamp.seconds * NANOSECONDS + channel_header.timestamp.nanos,
        creator=_creator(header.signature_header, message.tx_id),
        name=name,
        arguments=arguments,
        transient=dict(payload.TransientMap),
    )


def _channel_header(raw: bytes, message: Message, contract: str) -> Any:
    header = parse_into(common.ChannelHeader(), raw, "ChannelHeader")
    if (header.channel_id, header.tx_id) != message.transaction:
        raise Invalid("the proposal is of another transaction", reason="bad-proposal", place="channel_header")
    extension = parse_into(protos.proposal.ChaincodeHeaderExtension(), header.extension, "ChaincodeHeaderExtension")
    if extension.chaincode_id.name != contract:
        raise Denied("what was signed is for another contract", reason="other-contract")
    return header


def _creator(raw: bytes, tx_id: str) -> Creator:
    header = parse_into(common.SignatureHeader(), raw, "SignatureHeader")
    if transaction_id(header.nonce, header.creator) != tx_id:
        raise Invalid("the transaction id is not that of nonce and creator", reason="bad-proposal", place="tx_id")
    return creator_of(parse_identity(header.creator))


def _arguments(signed: bytes, forwarded: bytes) -> tuple[bytes, ...]:
    spec = parse_into(protos.chaincode.ChaincodeInvocationSpec(), signed, "ChaincodeInvocationSpec")
    given = parse_into(protos.chaincode.ChaincodeInput(), forwarded, "ChaincodeInput")
    arguments = tuple(spec.chaincode_spec.input.args)
    if tuple(given.args) != arguments:
        raise Denied("the arguments are not those that were signed", reason="other-arguments")
    return arguments
