"""A peer of the tests: a gRPC server on loopback that really checks signatures and builds transactions.

What a test wants otherwise it puts into ``answers`` under the method's name: a function of request and context.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from network.blocks.identity import parse_identity
from network.blocks.proposal import (
    ChaincodeEvent,
    Proposal,
    Response,
    Simulation,
    build_response_payload,
    build_transaction,
    endorse,
)
from network.blocks.protos import chaincode, common, proposal
from network.blocks.rwset import NamespaceRwset, Write
from network.blocks.signature import verify_signature
from network.fabric.gateway.protos import events, gateway, orderer, rpc_status
from tests.unit.network.blocks.hospital_channel import CHAINCODE, Hospital

Answer = Callable[[Any, grpc.ServicerContext], Any]
PEER = Hospital.new("RenheMSP")
GIVE_UP_S = 20.0
_METHODS = {
    "gateway.Gateway": {
        "Evaluate": (gateway.EvaluateRequest, False),
        "Endorse": (gateway.EndorseRequest, False),
        "Submit": (gateway.SubmitRequest, False),
        "CommitStatus": (gateway.SignedCommitStatusRequest, False),
        "ChaincodeEvents": (gateway.SignedChaincodeEventsRequest, True),
    },
    "protos.Deliver": {
        "Deliver": (common.Envelope, True),
        "DeliverFiltered": (common.Envelope, True),
        "DeliverWithPrivateData": (common.Envelope, True),
    },
}


@dataclass
class ScriptedPeer:
    """Attributes:
    requests: by method, what came in.
    submitted: envelopes that the orderer took.
    stop: ends the server.
    codes: by transaction id the validation code that is reported, else VALID.
    """

    address: str = ""
    requests: dict[str, list[Any]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    submitted: list[Any] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    stop: Callable[[], object] = field(default=lambda: None)

    def answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.setdefault(method, []).append(request)
        given = self.answers.get(method)
        return given(request, context) if given else getattr(self, f"_{method}")(request, context)

    def last(self, method: str) -> Any:
        return self.requests[method][-1]

    def _Evaluate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        _, arguments = read_proposal(request.proposed_transaction)
        answer = gateway.EvaluateResponse()
        answer.result.status = 200
        answer.result.payload = b"|".join(arguments)
        return answer

    def _Endorse(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        proposed, arguments = read_proposal(request.proposed_transaction)
        return gateway.EndorseResponse(prepared_transaction=prepare(proposed, Response(200, "", b"|".join(arguments))))

    def _Submit(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        check_signature(creator_of(request.prepared_transaction.payload), request.prepared_transaction)
        self.submitted.append(request.prepared_transaction)
        return gateway.SubmitResponse()

    def _CommitStatus(self, signed: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        request = gateway.CommitStatusRequest.FromString(signed.request)
        verify_signature(parse_identity(request.identity).public_key, signed.signature, signed.request)
        return gateway.CommitStatusResponse(result=self.codes.get(request.transaction_id, 0), block_number=7)


@contextmanager
def serving(
    peer: ScriptedPeer, credentials: grpc.ServerCredentials | None = None, port: int = 0
) -> Iterator[ScriptedPeer]:
    """The peer listens while the block runs."""
    server = grpc.server(
        ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    for service, methods in _METHODS.items():
        handlers = {
            name: _handler(peer, name, request, streams=streams) for name, (request, streams) in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    peer.address = f"127.0.0.1:{bound}"
    peer.stop = lambda: server.stop(0).wait(GIVE_UP_S)
    server.start()
    try:
        yield peer
    finally:
        peer.stop()


def _handler(peer: ScriptedPeer, name: str, request: Any, *, streams: bool) -> Any:
    def unary(message: Any, context: grpc.ServicerContext) -> Any:
        return peer.answer(name, message, context)

    def stream(message: Any, context: grpc.ServicerContext) -> Iterable[Any]:
        yield from peer.answer(name, message, context)

    make: Any = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    return make(
        stream if streams else unary,
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString(),
    )


def read_proposal(signed: Any) -> tuple[Proposal, list[bytes]]:
    """A signed proposal, its signature checked, and its arguments."""
    message = proposal.Proposal.FromString(signed.proposal_bytes)
    header = common.Header.FromString(message.header)
    channel_header = common.ChannelHeader.FromString(header.channel_header)
    creator = common.SignatureHeader.FromString(header.signature_header).creator
    verify_signature(parse_identity(creator).public_key, signed.signature, signed.proposal_bytes)
    payload = proposal.ChaincodeProposalPayload.FromString(message.payload)
    transient = dict(payload.TransientMap)
    payload.ClearField("TransientMap")
    invocation = chaincode.ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    timestamp_ns = channel_header.timestamp.seconds * 10**9 + channel_header.timestamp.nanos
    read = Proposal(
        tx_id=channel_header.tx_id,
        channel=channel_header.channel_id,
        chaincode=invocation.chaincode_id.name,
        args=tuple(invocation.input.args),
        creator=creator,
        timestamp_ns=timestamp_ns,
        channel_header=header.channel_header,
        signature_header=header.signature_header,
        payload=payload.SerializeToString(),
        transient=transient,
    )
    return read, list(read.args)


def prepare(proposed: Proposal, response: Response) -> Any:
    """The envelope that the gateway peer gives back to be signed."""
    event = ChaincodeEvent("Opened", b"event")
    written = NamespaceRwset(CHAINCODE, writes=(Write("key", b"value"),))
    payload = build_response_payload(proposed, Simulation((written,), response, event), version="1")
    endorsements = [endorse(payload, PEER.peer)]
    return common.Envelope(payload=build_transaction(proposed, payload, endorsements))


def creator_of(payload: bytes) -> bytes:
    header = common.Payload.FromString(payload).header
    creator: bytes = common.SignatureHeader.FromString(header.signature_header).creator
    return creator


def check_signature(creator: bytes, envelope: Any) -> None:
    verify_signature(parse_identity(creator).public_key, envelope.signature, envelope.payload)


def refuse(code: grpc.StatusCode, message: str, *details: tuple[str, str, str]) -> Answer:
    """An answer that fails as a peer fails: a status with ``gateway.ErrorDetail`` in ``grpc-status-details-bin``."""

    def answer(request: Any, context: grpc.ServicerContext) -> NoReturn:
        status = rpc_status.Status(code=code.value[0], message=message)
        for address, msp_id, text in details:
            packed = AnyMessage()
            packed.Pack(gateway.ErrorDetail(address=address, msp_id=msp_id, message=text))
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return answer


def hang(request: Any, context: grpc.ServicerContext) -> NoReturn:
    """An answer that never comes; it ends when the caller gives up."""
    given_up: queue.Queue[None] = queue.Queue()
    context.add_callback(lambda: given_up.put(None))
    given_up.get(timeout=GIVE_UP_S)
    context.abort(grpc.StatusCode.CANCELLED, "the caller gave up")


def hang_after(*answers: Any) -> Answer:
    """A stream that sends these and then nothing."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from answers
        hang(request, context)

    return answer


def break_after(*answers: Any) -> Answer:
    """A stream that sends these and then breaks."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from answers
        context.abort(grpc.StatusCode.UNAVAILABLE, "the peer is going down")

    return answer


def seek_of(envelope: Any) -> Any:
    """``orderer.SeekInfo`` of a request for blocks, its signature checked."""
    check_signature(creator_of(envelope.payload), envelope)
    return orderer.SeekInfo.FromString(common.Payload.FromString(envelope.payload).data)


def block_answer(number: int) -> Any:
    answer = events.DeliverResponse()
    answer.block.header.number = number
    answer.block.data.data.append(b"transaction")
    return answer


def status_answer(name: str) -> Any:
    return events.DeliverResponse(status=common.Status.Value(name))
