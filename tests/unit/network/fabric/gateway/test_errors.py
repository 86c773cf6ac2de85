"""Errors by stage: status, details of every peer, transaction id; deadlines; what a closed gateway does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import NoReturn

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from network.fabric.gateway import (
    CommitStatusError,
    Contract,
    Deadlines,
    EndorseError,
    ErrorDetail,
    Gateway,
    GatewayError,
    SubmitError,
)
from network.fabric.gateway.protos import gateway as gateway_messages
from network.fabric.gateway.protos import rpc_status
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.scripted_peer import GIVE_UP_S, ScriptedPeer, hang, refuse

STAGES = {"Endorse": EndorseError, "Submit": SubmitError, "CommitStatus": CommitStatusError}
DETAILS = (
    ("peer.renhe:7051", "RenheMSP", "chaincode response 500, it broke"),
    ("peer.mingde:7051", "MingdeMSP", "ProposalResponsePayloads do not match"),
)


@pytest.mark.parametrize("stage", STAGES)
def test_a_failed_stage_is_its_error_with_status_details_and_transaction(
    contract: Contract, peer: ScriptedPeer, stage: str
) -> None:
    peer.answers[stage] = refuse(grpc.StatusCode.ABORTED, "see the details", *DETAILS)
    with pytest.raises(STAGES[stage]) as caught:
        contract.submit_transaction("Put")
    error = caught.value
    assert (error.code, error.message) == (grpc.StatusCode.ABORTED, "see the details")
    assert error.details == tuple(ErrorDetail(*detail) for detail in DETAILS)
    assert error.transaction_id == peer.last("Endorse").transaction_id
    assert str(error) == (
        "ABORTED: see the details; peer.renhe:7051 (RenheMSP): chaincode response 500, it broke;"
        " peer.mingde:7051 (MingdeMSP): ProposalResponsePayloads do not match"
    )


def test_a_failed_evaluation_is_a_gateway_error_and_no_other(contract: Contract, peer: ScriptedPeer) -> None:
    peer.answers["Evaluate"] = refuse(grpc.StatusCode.UNKNOWN, "chaincode response 404, nothing there", DETAILS[0])
    with pytest.raises(GatewayError) as caught:
        contract.evaluate_transaction("Read")
    assert type(caught.value) is GatewayError
    assert caught.value.code is grpc.StatusCode.UNKNOWN
    assert caught.value.details == (ErrorDetail(*DETAILS[0]),)
    assert caught.value.transaction_id == peer.last("Evaluate").transaction_id


def test_details_of_many_peers_beyond_grpcs_usual_bound_are_read(contract: Contract, peer: ScriptedPeer) -> None:
    details = [(f"peer{number}:7051", "RenheMSP", "x" * 4000) for number in range(40)]
    peer.answers["Endorse"] = refuse(grpc.StatusCode.ABORTED, "all of them", *details)
    with pytest.raises(EndorseError) as caught:
        contract.submit_transaction("Put")
    assert caught.value.code is grpc.StatusCode.ABORTED
    assert caught.value.details == tuple(ErrorDetail(*detail) for detail in details)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b""])
def test_details_that_cannot_be_read_do_not_hide_the_error(contract: Contract, peer: ScriptedPeer, raw: bytes) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", raw),))
        context.abort(grpc.StatusCode.ABORTED, "with broken details")

    peer.answers["Endorse"] = answer
    with pytest.raises(EndorseError, match="ABORTED: with broken details") as caught:
        contract.submit_transaction("Put")
    assert caught.value.details == ()


def test_details_of_another_kind_are_left_out(contract: Contract, peer: ScriptedPeer) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> None:
        status = rpc_status.Status(code=10, message="mixed")
        for message in (Timestamp(seconds=1), gateway_messages.ErrorDetail(msp_id="RenheMSP", message="it broke")):
            status.details.add().Pack(message)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.ABORTED, "mixed")

    peer.answers["Endorse"] = answer
    with pytest.raises(EndorseError) as caught:
        contract.submit_transaction("Put")
    assert caught.value.details == (ErrorDetail("", "RenheMSP", "it broke"),)


@pytest.mark.parametrize("stage", STAGES)
def test_a_peer_that_never_answers_is_given_up_at_the_deadline(
    contract: Contract, peer: ScriptedPeer, stage: str
) -> None:
    peer.answers[stage] = hang
    with pytest.raises(STAGES[stage]) as caught:
        contract.submit("Put", deadlines=Deadlines(endorse_s=0.2, submit_s=0.2, commit_status_s=0.2))
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_call_has_the_time_that_it_was_given_and_no_more(contract: Contract, peer: ScriptedPeer) -> None:
    told: list[float] = []
    one = Deadlines(endorse_s=0.2), Deadlines(submit_s=0.2), Deadlines(commit_status_s=0.2)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("Evaluate", lambda: contract.evaluate("Read", timeout_s=0.2)),
        ("Endorse", lambda: contract.new_proposal("Put").endorse(timeout_s=0.2)),
        ("Endorse", lambda: contract.submit("Put", deadlines=one[0])),
        ("Endorse", lambda: contract.submit_async("Put", deadlines=one[0])),
        ("Submit", lambda: contract.new_proposal("Put").endorse().submit(timeout_s=0.2)),
        ("Submit", lambda: contract.submit("Put", deadlines=one[1])),
        ("Submit", lambda: contract.submit_async("Put", deadlines=one[1])),
        ("CommitStatus", lambda: contract.submit_async("Put")[1].status(timeout_s=0.2)),
        ("CommitStatus", lambda: contract.submit("Put", deadlines=one[2])),
    ]

    def answer(request: object, context: grpc.ServicerContext) -> None:
        told.append(context.time_remaining())
        hang(request, context)

    for method, call in calls:
        peer.answers = {method: answer}
        with pytest.raises(GatewayError) as caught:
            call()
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED, method
    assert max(told) <= 0.25


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_left_is_a_deadline_and_not_the_default(contract: Contract, peer: ScriptedPeer, seconds: float) -> None:
    with pytest.raises(GatewayError, match="no time is left") as caught:
        contract.evaluate("Read", timeout_s=seconds)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert peer.requests == {}


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_gateway_without_deadlines_cannot_be_made(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Deadlines(submit_s=seconds)


def test_after_a_failed_submit_the_transaction_can_still_be_asked_for(contract: Contract, peer: ScriptedPeer) -> None:
    peer.answers["Submit"] = refuse(grpc.StatusCode.UNAVAILABLE, "no orderer")
    endorsed = contract.new_proposal("Put").endorse()
    with pytest.raises(SubmitError):
        endorsed.submit()
    assert endorsed.commit.status().successful


def test_close_ends_a_call_that_waits(gateway: Gateway, contract: Contract, peer: ScriptedPeer) -> None:
    started, errors = threading.Event(), list[GatewayError]()

    def answer(request: object, context: grpc.ServicerContext) -> None:
        started.set()
        hang(request, context)

    def ask() -> None:
        with pytest.raises(CommitStatusError) as caught:
            contract.submit_transaction("Put")
        errors.append(caught.value)

    peer.answers["CommitStatus"] = answer
    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(GIVE_UP_S)
    gateway.close()
    thread.join(GIVE_UP_S)
    assert [error.code for error in errors] == [grpc.StatusCode.CANCELLED]


def test_a_call_whose_caller_is_interrupted_ends_at_the_peer(contract: Contract, peer: ScriptedPeer) -> None:
    ended = threading.Event()

    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.add_callback(ended.set)
        hang(request, context)

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    peer.answers["Evaluate"] = answer
    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt) as caught:
            contract.evaluate_transaction("Read")
    finally:
        signal.signal(signal.SIGALRM, former)
    assert ended.wait(GIVE_UP_S / 2)
    assert caught.tb is not None  # until here the interrupted call was held by its frames


def test_a_closed_gateway_asks_nothing_more(gateway: Gateway, contract: Contract, peer: ScriptedPeer) -> None:
    gateway.close()
    network = gateway.get_network(CHANNEL)
    for call in (
        lambda: contract.evaluate_transaction("Read"),
        lambda: contract.submit_transaction("Put"),
        network.block_events,
        lambda: network.chaincode_events(CHAINCODE),
    ):
        with pytest.raises(GatewayError, match="closed") as caught:
            call()
        assert caught.value.code is grpc.StatusCode.CANCELLED
    assert peer.requests == {}


def test_a_closed_channel_is_a_gateway_error(contract: Contract, channel: grpc.Channel) -> None:
    channel.close()
    with pytest.raises(GatewayError, match="channel is closed"):
        contract.evaluate_transaction("Read")
