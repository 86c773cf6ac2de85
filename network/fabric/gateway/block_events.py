"""Blocks as a peer commits them: whole, filtered, or with the private data that the asker may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import grpc

from network.blocks.codes import code_name
from network.blocks.proposal import NANOSECONDS, build_signature_header
from network.blocks.protos import common, serialize
from network.fabric.gateway.chaincode_events import ChaincodeEvent
from network.fabric.gateway.checkpointer import Checkpoint
from network.fabric.gateway.errors import GatewayError
from network.fabric.gateway.position import LAST_BLOCK, block_position, start_position
from network.fabric.gateway.protos import orderer
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import Signable, SigningIdentity
from network.fabric.gateway.stream import Completed, EventStream

_T = TypeVar("_T")

_CODES: Final = {
    "BAD_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "FORBIDDEN": grpc.StatusCode.PERMISSION_DENIED,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "REQUEST_ENTITY_TOO_LARGE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "INTERNAL_SERVER_ERROR": grpc.StatusCode.INTERNAL,
    "NOT_IMPLEMENTED": grpc.StatusCode.UNIMPLEMENTED,
    "SERVICE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Block:
    """A whole block; ``raw`` is the serialized ``common.Block``."""

    number: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BlockAndPrivateData:
    """A block, and by the place of a transaction in it the serialized ``rwset.TxPvtReadWriteSet``."""

    block: Block
    private_data: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FilteredTransaction:
    """What a filtered block tells of a transaction; ``events`` are those that it set, without their payload."""

    transaction_id: str
    type: int
    validation_code: int
    events: tuple[ChaincodeEvent, ...]

    @property
    def code_name(self) -> str:
        return code_name(self.validation_code)


@dataclass(frozen=True, slots=True)
class FilteredBlock:
    """A block without content: for those who may know no more."""

    number: int
    channel: str
    transactions: tuple[FilteredTransaction, ...]


@dataclass(frozen=True, slots=True)
class BlockEventKind(Generic[_T]):
    """A method of the Deliver service and what its answers hold."""

    method: str
    answer: str
    read: Callable[[Any], _T]


class BlockEventsRequest(Signable, Generic[_T]):
    """A request for blocks."""

    def __init__(self, rpc: Rpc, signing: SigningIdentity, kind: BlockEventKind[_T], envelope: Any) -> None:
        super().__init__(signing, envelope, "payload")
        self._rpc = rpc
        self._kind = kind

    def serialize(self) -> bytes:
        """The request with its signature, if it has one: for the gateway's ``new_…_events_request`` of its kind."""
        raw: bytes = self._signed.SerializeToString()
        return raw

    def events(self, *, idle_s: float | None = None) -> EventStream[_T]:
        """Starts the stream. Without ``idle_s`` it waits for ever, as a channel may stand still for long.

        Raises:
            SigningError: nothing signs the request.
            GatewayError: the gateway is closed.
        """
        self.sign()
        return EventStream(self._rpc, self._rpc.deliver(self._kind.method, self._signed), self._read, idle_s)

    def _read(self, response: Any) -> tuple[_T]:
        answer = response.WhichOneof("Type")
        if answer == "status":
            raise _ended(response.status)
        if answer != self._kind.answer:
            raise GatewayError("the peer sent another kind of answer than was asked for")
        return (self._kind.read(getattr(response, answer)),)


def request_block_events(
    rpc: Rpc,
    signing: SigningIdentity,
    kind: BlockEventKind[_T],
    channel: str,
    position: tuple[int | None, Checkpoint | None],
    timestamp_ns: int,
    tls_certificate_hash: bytes,
) -> BlockEventsRequest[_T]:
    """The unsigned request, from the ``position`` (start block, checkpoint) without end."""
    header = common.ChannelHeader(
        type=common.HeaderType.Value("DELIVER_SEEK_INFO"), channel_id=channel, tls_cert_hash=tls_certificate_hash
    )
    header.timestamp.seconds, header.timestamp.nanos = divmod(timestamp_ns, NANOSECONDS)
    seek = orderer.SeekInfo(start=start_position(*position), stop=block_position(LAST_BLOCK))
    payload = common.Payload(data=serialize(seek))
    payload.header.channel_header = serialize(header)
    payload.header.signature_header = build_signature_header(signing.identity.serialize(), b"")
    return BlockEventsRequest(rpc, signing, kind, common.Envelope(payload=serialize(payload)))


def _ended(status: int) -> Exception:
    name = common.Status.Name(status) if status in common.Status.values() else str(status)
    if name == "SUCCESS":
        return Completed()
    return GatewayError(f"the peer ended the stream: {name}", code=_CODES.get(name, grpc.StatusCode.UNKNOWN))


def _read_block(block: Any) -> Block:
    return Block(block.header.number, block.SerializeToString())


def _read_block_and_private_data(answer: Any) -> BlockAndPrivateData:
    private = {place: rwset.SerializeToString() for place, rwset in answer.private_data_map.items()}
    return BlockAndPrivateData(_read_block(answer.block), private)


def _read_filtered_block(block: Any) -> FilteredBlock:
    transactions = tuple(_read_filtered_transaction(block.number, item) for item in block.filtered_transactions)
    return FilteredBlock(block.number, block.channel_id, transactions)


def _read_filtered_transaction(block_number: int, item: Any) -> FilteredTransaction:
    set_events = (action.chaincode_event for action in item.transaction_actions.chaincode_actions)
    events = tuple(
        ChaincodeEvent(block_number, event.tx_id, event.chaincode_id, event.event_name, event.payload)
        for event in set_events
        if event.event_name
    )
    return FilteredTransaction(item.txid, item.type, item.tx_validation_code, events)


BLOCKS: Final = BlockEventKind("Deliver", "block", _read_block)
FILTERED_BLOCKS: Final = BlockEventKind("DeliverFiltered", "filtered_block", _read_filtered_block)
BLOCKS_AND_PRIVATE_DATA: Final = BlockEventKind(
    "DeliverWithPrivateData", "block_and_private_data", _read_block_and_private_data
)
