"""One message of the peer–chaincode stream (fabric-protos ``protos.ChaincodeMessage``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from chaincode.service.protos import shim
from chaincode.stub import ChaincodeEvent
from network.blocks.protos import parse_into, serialize

MAX_MESSAGE_BYTES: Final = 100 * 1024 * 1024
"""The peer's own limit, in both directions."""


class Kind(IntEnum):
    """The kinds of messages that this service sends or understands, by their number in the protocol."""

    REGISTER = 1
    REGISTERED = 2
    INIT = 3
    READY = 4
    TRANSACTION = 5
    COMPLETED = 6
    ERROR = 7
    GET_STATE = 8
    PUT_STATE = 9
    DEL_STATE = 10
    RESPONSE = 13
    GET_STATE_BY_RANGE = 14
    QUERY_STATE_NEXT = 16
    QUERY_STATE_CLOSE = 17
    KEEPALIVE = 18
    GET_HISTORY_FOR_KEY = 19
    WRITE_BATCH_STATE = 24


@dataclass(frozen=True, slots=True)
class Message:
    """A message; which transaction it belongs to is said by channel and transaction id together.

    Attributes:
        kind: its number; a peer may send one that :class:`Kind` does not have.
        proposal: the ``protos.Proposal`` whose signature the peer verified, beside a TRANSACTION.
        event: beside a COMPLETED.
    """

    kind: int
    channel: str = ""
    tx_id: str = ""
    payload: bytes = field(default=b"", repr=False)
    proposal: bytes = field(default=b"", repr=False)
    event: ChaincodeEvent | None = field(default=None, repr=False)

    @property
    def transaction(self) -> tuple[str, str]:
        """The transaction to which it belongs."""
        return self.channel, self.tx_id

    def encode(self) -> bytes:
        """Its bytes on the stream; the proposal is the peer's and never sent back."""
        encoded = shim.ChaincodeMessage(type=self.kind, channel_id=self.channel, txid=self.tx_id, payload=self.payload)
        if self.event is not None:
            encoded.chaincode_event.tx_id = self.tx_id
            encoded.chaincode_event.event_name = self.event.name
            encoded.chaincode_event.payload = self.event.payload
        return serialize(encoded)


def parse_message(raw: bytes) -> Message:
    """Read what a peer sent.

    Raises:
        Invalid: the bytes are no such message.
    """
    read = parse_into(shim.ChaincodeMessage(), raw, "ChaincodeMessage")
    return Message(read.type, read.channel_id, read.txid, read.payload, read.proposal.proposal_bytes)
