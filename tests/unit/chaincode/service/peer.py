"""A peer's side of the stream over a real connection: raw, and one that serves a state as Fabric's peer does.

What the second one does is in Fabric's ``core/chaincode/handler.go`` and ``query_response_generator.go``: results in
batches of 100, one request of a transaction at once, no write after a paged query.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from queue import SimpleQueue
from typing import Any, Self

import grpc

from chaincode.service.message import MAX_MESSAGE_BYTES, Kind
from chaincode.service.protos import query_result, shim
from chaincode.stub import KeyModification, StateReader
from domain.instants import moment
from network.blocks import protos
from network.blocks.proposal import Proposal, propose
from network.embedded.material import create_authority, issue
from network.execution import nanoseconds
from tests.unit.chaincode.world import NOW, A

CONTRACT = "yilian"
CHANNEL = "medical"
PACKAGE_ID = "yilian_1:" + "0" * 64
BATCH = 100
WAIT_S = 10.0
_IDENTITIES: dict[str, bytes] = {}


def identity_of(msp_id: str) -> bytes:
    """The serialized identity of a member's node; made once."""
    if msp_id not in _IDENTITIES:
        authority = create_authority(msp_id.lower(), moment(NOW))
        _IDENTITIES[msp_id] = issue(authority, "node", "client", moment(NOW)).signer(msp_id).identity
    return _IDENTITIES[msp_id]


def proposal(
    name: str, arguments: bytes = b"", *, at: datetime | str = NOW, caller: str = A, channel: str = CHANNEL,
    contract: str = CONTRACT, transient: dict[str, bytes] | None = None,
) -> Proposal:  # fmt: skip
    """What a member's client signs."""
    return propose(
        channel=channel, chaincode=contract, args=(name.encode(), arguments), creator=identity_of(caller),
        nonce=os.urandom(24), timestamp_ns=nanoseconds(moment(at) if isinstance(at, str) else at), transient=transient,
    )  # fmt: skip


def transaction(asked: Proposal, kind: Kind = Kind.TRANSACTION) -> Any:
    """The message by which a peer has a proposal executed."""
    message = shim.ChaincodeMessage(type=kind, channel_id=asked.channel, txid=asked.tx_id)
    message.payload = protos.chaincode.ChaincodeInput(args=asked.args).SerializeToString()
    message.proposal.proposal_bytes = asked.serialize()
    return message


class RawPeer:
    """Sends and receives messages; it keeps no rule itself.

    Args:
        address: of the service.
        credentials: None connects without TLS.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", -1)]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        connect: Any = self._channel.stream_stream("/protos.Chaincode/Connect")
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self.call: Any = connect(iter(self._requests.get, None), timeout=WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._requests.put(None)
        self.call.cancel()
        self._channel.close()

    def send(self, message: Any) -> None:
        self._requests.put(message if isinstance(message, bytes) else message.SerializeToString())

    def half_close(self) -> None:
        self._requests.put(None)

    def receive(self) -> Any:
        """The next message; StopIteration where the service ended the stream."""
        return shim.ChaincodeMessage.FromString(next(self.call))

    def register(self, **offered: Any) -> None:
        """Take the registration and be ready."""
        first = self.receive()
        assert first.type == Kind.REGISTER
        assert protos.chaincode.ChaincodeID.FromString(first.payload).name == PACKAGE_ID
        self.send(shim.ChaincodeMessage(type=Kind.REGISTERED))
        payload = protos.chaincode.ChaincodeAdditionalParams(**offered).SerializeToString()
        self.send(shim.ChaincodeMessage(type=Kind.READY, payload=payload))

    def reply(self, asked: Any, payload: bytes = b"", kind: Kind = Kind.RESPONSE) -> None:
        self.send(shim.ChaincodeMessage(type=kind, channel_id=asked.channel_id, txid=asked.txid, payload=payload))

    def answer(self) -> tuple[int, str]:
        """Status and reason of a transaction's end, which must come next."""
        message = self.receive()
        assert message.type == Kind.COMPLETED
        response = protos.proposal_response.Response.FromString(message.payload)
        return response.status, json.loads(response.message)["reason"] if response.message else ""

    def ended_with(self) -> grpc.StatusCode:
        """Reads on until the service has ended the stream; how it ended."""
        with suppress(grpc.RpcError):
            for _ in self.call:
                pass
        code: grpc.StatusCode = self.call.code()
        return code


@dataclass(slots=True)
class Simulated:
    """What a peer has of a transaction.

    Attributes:
        asked: kinds of requests, in order.
        reads: keys that were read.
        messages: sizes of batches of writes; 1 for a single one.
    """

    asked: list[Kind] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    ranges: list[tuple[str, str]] = field(default_factory=list)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    messages: list[int] = field(default_factory=list)
    is_paged: bool = False
    event: tuple[str, bytes] | None = None
    response: tuple[int, str, bytes] = (0, "", b"")


class LedgerPeer(RawPeer):
    """Executes proposals as a peer over a committed state."""

    def __init__(self, address: str, state: StateReader) -> None:
        super().__init__(address)
        self.state = state
        self.open_queries: dict[str, Iterator[bytes]] = {}
        self._pending: dict[str, bytes] = {}

    def execute(self, asked: Proposal) -> Simulated:
        """Have a proposal executed, alone on the stream."""
        self.send(transaction(asked))
        found = Simulated()
        while True:
            message = self.receive()
            assert (message.channel_id, message.txid) == (asked.channel, asked.tx_id)
            if message.type == Kind.COMPLETED:
                assert not self.open_queries
                return self._completed(message, found)
            found.asked.append(Kind(message.type))
            self.reply(message, self._answer(message, found))

    def _completed(self, message: Any, found: Simulated) -> Simulated:
        response = protos.proposal_response.Response.FromString(message.payload)
        found.response = (response.status, response.message, response.payload)
        if message.HasField("chaincode_event"):
            found.event = (message.chaincode_event.event_name, message.chaincode_event.payload)
        return found

    def _answer(self, message: Any, found: Simulated) -> bytes:
        match Kind(message.type):
            case Kind.GET_STATE:
                key = shim.GetState.FromString(message.payload).key
                found.reads.append(key)
                value = self.state.get(key)
                return b"" if value is None else value.value
            case Kind.PUT_STATE:
                put = shim.PutState.FromString(message.payload)
                self._write(found, [(put.key, put.value)])
            case Kind.DEL_STATE:
                self._write(found, [(shim.DelState.FromString(message.payload).key, None)])
            case Kind.WRITE_BATCH_STATE:
                records = shim.WriteBatchState.FromString(message.payload).rec
                self._write(found, [(it.key, it.value if it.type == Kind.PUT_STATE else None) for it in records])
            case Kind.GET_STATE_BY_RANGE:
                return self._range(shim.GetStateByRange.FromString(message.payload), found)
            case Kind.GET_HISTORY_FOR_KEY:
                past = self.state.history(shim.GetHistoryForKey.FromString(message.payload).key)
                return self._query(_modification(item) for item in past)
            case Kind.QUERY_STATE_NEXT:
                return self._batch(shim.QueryStateNext.FromString(message.payload).id)
            case Kind.QUERY_STATE_CLOSE:
                query = shim.QueryStateClose.FromString(message.payload).id
                self.open_queries.pop(query)
                self._pending.pop(query, None)
                return bytes(shim.QueryResponse(id=query).SerializeToString())
            case other:
                raise AssertionError(f"a peer does not expect {other}")
        return b""

    def _write(self, found: Simulated, writes: list[tuple[str, bytes | None]]) -> None:
        assert not found.is_paged, "a peer refuses to write after a paged query"
        found.messages.append(len(writes))
        found.writes.update(writes)

    def _range(self, asked: Any, found: Simulated) -> bytes:
        found.ranges.append((asked.startKey, asked.endKey))
        if not asked.metadata:
            return self._query(_pair(key, value.value) for key, value in self.state.range(asked.startKey, asked.endKey))
        found.is_paged = True
        page = shim.QueryMetadata.FromString(asked.metadata)
        assert not found.writes
        items = self.state.range(page.bookmark or asked.startKey, asked.endKey)
        pairs = list(islice(items, page.pageSize + 1))
        told = shim.QueryResponseMetadata(fetched_records_count=len(pairs[: page.pageSize]))
        told.bookmark = pairs[page.pageSize][0] if len(pairs) > page.pageSize else ""
        query = self._name(iter(()))
        response = shim.QueryResponse(id=query, metadata=told.SerializeToString())
        for key, value in pairs[: page.pageSize]:
            response.results.add(resultBytes=_pair(key, value.value))
        return bytes(response.SerializeToString())

    def _query(self, items: Iterator[bytes]) -> bytes:
        return self._batch(self._name(items))

    def _name(self, items: Iterator[bytes]) -> str:
        query = hashlib.sha256(os.urandom(8)).hexdigest()
        self.open_queries[query] = items
        return query

    def _batch(self, query: str) -> bytes:
        """One item is held back, to know whether more follow, as a peer does it."""
        held = self._pending.pop(query, None)
        batch = [] if held is None else [held]
        batch += islice(self.open_queries[query], BATCH + 1 - len(batch))
        response = shim.QueryResponse(id=query, has_more=len(batch) > BATCH)
        if response.has_more:
            self._pending[query] = batch.pop()
        for item in batch:
            response.results.add(resultBytes=item)
        return bytes(response.SerializeToString())


def _pair(key: str, value: bytes) -> bytes:
    return bytes(query_result.KV(namespace=CONTRACT, key=key, value=value).SerializeToString())


def _modification(past: KeyModification) -> bytes:
    message = query_result.KeyModification(tx_id=past.tx_id, value=past.value or b"", is_delete=past.value is None)
    message.timestamp.FromDatetime(past.timestamp)
    return bytes(message.SerializeToString())
