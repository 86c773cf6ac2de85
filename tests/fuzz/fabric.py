"""Targets: what a peer's Gateway and Deliver services answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import grpc

from domain.errors import Unavailable, YilianError
from network.blocks.proposal import propose
from network.fabric.answers import is_taken, refusal, unavailable
from network.fabric.deliver import block_number, read_response
from network.fabric.gateway import GatewayError
from network.fabric.gateway.errors import MalformedError
from network.fabric.gateway.proposal import parse_proposed
from network.fabric.gateway.protos import events, gateway, parse_into, rpc_status
from network.fabric.gateway.rpc import translated_errors
from network.fabric.gateway.transaction import parse_prepared
from tests.fuzz.target import CORPUS, SECRET, Target, accepted

_MSP: Final = "AMSP"
Value = TypeVar("Value")


class Failure(grpc.RpcError):
    """A call that failed, with these bytes for its details."""

    def __init__(self, details: bytes) -> None:
        super().__init__()
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.ABORTED

    def details(self) -> str:
        return "failed to endorse"

    def trailing_metadata(self) -> Any:
        return (("grpc-status-details-bin", self._details),)


grpc.Call.register(Failure)


def fuzz_proposed(data: bytes) -> None:
    """A proposal that was kept elsewhere is one, or is none; what is written again is read as the same."""
    for channel, proposed in _readable(partial(parse_proposed, data)):
        assert channel
        assert parse_proposed(proposed.SerializeToString()) == (channel, proposed)


def fuzz_prepared(data: bytes) -> None:
    """What a gateway peer prepared is read in every layer, or refused."""
    for answer in _readable(partial(parse_into, gateway.EndorseResponse(), data, "EndorseResponse")):
        for prepared in _readable(partial(parse_prepared, answer.prepared_transaction)):
            assert len(prepared.result) < len(data)


def fuzz_failed_call(data: bytes) -> None:
    """Details of a failed call are read so far as they can be; what they mean is an error of the taxonomy."""
    error = _translated(Failure(data))
    assert error.code is grpc.StatusCode.ABORTED
    assert isinstance(refusal(error, _MSP) or unavailable(error), YilianError)
    is_taken(error)


def fuzz_delivered(data: bytes) -> None:
    """An answer of Deliver holds a block, ends the stream, or is refused."""
    for block in accepted(partial(read_response, data), Unavailable):
        if block is not None:
            assert block in data
            accepted(partial(block_number, block), Unavailable)
    accepted(partial(block_number, data), Unavailable)


def _translated(failure: Failure) -> GatewayError:
    try:
        with translated_errors():
            raise failure
    except GatewayError as error:
        return error


def _readable(call: Callable[[], Value]) -> tuple[Value, ...]:
    """What the call returns, or nothing where the client says that the bytes are none."""
    try:
        return (call(),)
    except MalformedError:
        return ()


def _proposals() -> list[bytes]:
    proposal = propose(
        channel="medical", chaincode="yilian", args=[b"f", SECRET.encode()], creator=bytes(8), nonce=bytes(24),
        timestamp_ns=1, transient={"t": SECRET.encode()},
    )  # fmt: skip
    proposed = gateway.ProposedTransaction(transaction_id=proposal.tx_id, endorsing_organizations=[_MSP])
    proposed.proposal.proposal_bytes = proposal.serialize()
    return [proposed.SerializeToString(deterministic=True)]


def _prepared() -> list[bytes]:
    made = []
    for name in ("write", "definition"):
        answer = gateway.EndorseResponse()
        answer.prepared_transaction.ParseFromString((CORPUS / "envelope" / name).read_bytes())
        made.append(answer.SerializeToString(deterministic=True))
    return made


def _details() -> list[bytes]:
    made = []
    for message in ('chaincode response 404, {"detail":"d","place":"p","reason":"r"}', "already exists", SECRET):
        status = rpc_status.Status(code=10, message=SECRET)
        for msp in (_MSP, "BMSP"):
            status.details.add().Pack(gateway.ErrorDetail(address="a:1", msp_id=msp, message=message))
        made.append(status.SerializeToString(deterministic=True))
    return made


def _delivered() -> list[bytes]:
    block = (CORPUS / "block" / "write").read_bytes()
    answers = [events.DeliverResponse(status=status) for status in (200, 404, 999)]
    answers += [events.DeliverResponse(filtered_block=events.FilteredBlock(channel_id=SECRET, number=7))]
    whole = events.DeliverResponse()
    whole.block.ParseFromString(block)
    return [answer.SerializeToString(deterministic=True) for answer in (*answers, whole)] + [block]


TARGETS: Final = tuple(
    Target(name, call, seeds, takes_json=False)
    for name, call, seeds in (
        ("proposed", fuzz_proposed, _proposals),
        ("prepared", fuzz_prepared, _prepared),
        ("failed-call", fuzz_failed_call, _details),
        ("delivered", fuzz_delivered, _delivered),
    )
)
