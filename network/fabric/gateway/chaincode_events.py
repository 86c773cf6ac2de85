"""Events that a contract's valid transactions set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from network.fabric.gateway.checkpointer import Checkpoint
from network.fabric.gateway.position import start_position
from network.fabric.gateway.protos import gateway
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import Signable, SigningIdentity
from network.fabric.gateway.stream import EventStream


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The one event of a transaction that was committed as valid."""

    block_number: int
    transaction_id: str
    chaincode: str
    name: str
    payload: bytes = field(repr=False)


class ChaincodeEventsRequest(Signable):
    """A request for a contract's events."""

    def __init__(self, rpc: Rpc, signing: SigningIdentity, signed: Any) -> None:
        super().__init__(signing, signed, "request")
        self._rpc = rpc

    def serialize(self) -> bytes:
        """The request with its signature, if it has one: for ``Gateway.new_chaincode_events_request``."""
        raw: bytes = self._signed.SerializeToString()
        return raw

    def events(self, *, idle_s: float | None = None) -> EventStream[ChaincodeEvent]:
        """Starts the stream. Without ``idle_s`` it waits for ever, as a contract may say nothing for long.

        Raises:
            SigningError: nothing signs the request.
            GatewayError: the gateway is closed.
        """
        self.sign()
        return EventStream(self._rpc, self._rpc.chaincode_events(self._signed), _read_events, idle_s)


def request_chaincode_events(
    rpc: Rpc,
    signing: SigningIdentity,
    channel: str,
    chaincode: str,
    start_block: int | None,
    checkpoint: Checkpoint | None,
) -> ChaincodeEventsRequest:
    """The unsigned request."""
    request = gateway.ChaincodeEventsRequest(
        channel_id=channel,
        chaincode_id=chaincode,
        identity=signing.identity.serialize(),
        start_position=start_position(start_block, checkpoint),
        after_transaction_id=checkpoint.transaction_id if checkpoint else "",
    )
    signed = gateway.SignedChaincodeEventsRequest(request=request.SerializeToString())
    return ChaincodeEventsRequest(rpc, signing, signed)


def _read_events(response: Any) -> Iterator[ChaincodeEvent]:
    for event in response.events:
        yield ChaincodeEvent(
            block_number=response.block_number,
            transaction_id=event.tx_id,
            chaincode=event.chaincode_id,
            name=event.event_name,
            payload=event.payload,
        )
