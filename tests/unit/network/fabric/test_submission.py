"""Submission while peers and orderers fail: what is told is certain, and one transaction stays one."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from domain.errors import Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Unavailable, YilianError
from network.fabric.gateway.protos import gateway
from network.fabric.peers import Peer
from network.fabric.submission import ORDERING_S, Submitter
from tests.unit.network.fabric.conftest import HOSPITALS
from tests.unit.network.fabric.gateway.scripted_peer import Answer, ScriptedPeer, refuse

UNAVAILABLE = refuse(grpc.StatusCode.UNAVAILABLE, "connection refused")
NO_COMBINATION = refuse(grpc.StatusCode.FAILED_PRECONDITION, "no combination of peers can be derived")
UNKNOWN_ID = refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded")
NO_ORDERER = refuse(grpc.StatusCode.UNAVAILABLE, "no orderers could successfully process transaction")
IN_THE_POOL = refuse(
    grpc.StatusCode.UNAVAILABLE,
    "no orderers could successfully process transaction",
    ("orderer:7050", "", "received unsuccessful response from orderer: request already processed"),
)


class Time:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def submitter(peers: list[Peer], time: Time) -> Submitter:
    return Submitter(peers, HOSPITALS[0], now_s=time.now, sleep=time.sleep)


def submit(submitter: Submitter) -> str:
    return submitter.submit("Anchor", b"{}").tx_id


def answered(text: str, msp: str = HOSPITALS[1], code: grpc.StatusCode = grpc.StatusCode.ABORTED) -> Answer:
    return refuse(code, "failed to endorse transaction", ("peer:7051", msp, text))


def told(status: int, reason: str) -> str:
    return f'chaincode response {status}, {{"detail":"no","place":"id","reason":"{reason}"}}'


def kept(peer: ScriptedPeer) -> list[bytes]:
    """The envelopes that a peer was given, as bytes."""
    return [request.prepared_transaction.SerializeToString() for request in peer.requests.get("Submit", [])]


def test_the_own_peer_endorses_and_submits_and_nobody_else_is_asked(
    submitter: Submitter, scripted: list[ScriptedPeer]
) -> None:
    tx_id = submit(submitter)
    assert [list(peer.requests) for peer in scripted] == [["Endorse", "Submit"], [], []]
    assert scripted[0].last("Submit").transaction_id == tx_id
    assert len(tx_id) == 64


@pytest.mark.parametrize("failure", [UNAVAILABLE, NO_COMBINATION, answered("connection error: the node is down")])
def test_another_peer_endorses_where_the_own_one_cannot(
    submitter: Submitter, scripted: list[ScriptedPeer], failure: Answer
) -> None:
    scripted[0].answers["Endorse"] = failure
    tx_id = submit(submitter)
    assert scripted[1].last("Endorse").transaction_id == tx_id == scripted[0].last("Endorse").transaction_id
    assert "Endorse" not in scripted[2].requests


@pytest.mark.parametrize(("status", "kind"), [(400, Invalid), (403, Denied), (404, NotFound), (409, Conflict)])
def test_a_refusal_of_the_contract_is_final(
    submitter: Submitter, scripted: list[ScriptedPeer], status: int, kind: type[YilianError]
) -> None:
    scripted[0].answers["Endorse"] = answered(told(status, "used"), HOSPITALS[0])
    with pytest.raises(kind) as caught:
        submit(submitter)
    assert (caught.value.reason, caught.value.place) == ("used", "id")
    assert [len(peer.requests.get("Endorse", [])) for peer in scripted] == [1, 0, 0]
    assert not any("Submit" in peer.requests for peer in scripted)


def test_one_other_hospitals_refusal_gives_nothing_up(submitter: Submitter, scripted: list[ScriptedPeer]) -> None:
    scripted[0].answers["Endorse"] = answered(told(403, "lie"), HOSPITALS[1])
    scripted[1].answers["Endorse"] = refuse(
        grpc.StatusCode.ABORTED,
        "failed to endorse transaction",
        *((f"{msp}:7051", msp, told(403, "lie")) for msp in HOSPITALS),
    )
    submit(submitter)
    assert "Endorse" in scripted[2].requests


def test_two_other_hospitals_refusal_is_final(submitter: Submitter, scripted: list[ScriptedPeer]) -> None:
    scripted[0].answers["Endorse"] = UNAVAILABLE
    for number in (1, 2):
        scripted[number].answers["Endorse"] = answered(told(409, "used"), HOSPITALS[number])
    with pytest.raises(Conflict):
        submit(submitter)


def test_of_several_answers_the_own_peers_counts(submitter: Submitter, scripted: list[ScriptedPeer]) -> None:
    scripted[0].answers["Endorse"] = refuse(
        grpc.StatusCode.ABORTED,
        "failed to collect enough transaction endorsements",
        ("b:7051", HOSPITALS[1], told(403, "theirs")),
        ("a:7051", HOSPITALS[0], told(409, "ours")),
    )
    with pytest.raises(Conflict) as caught:
        submit(submitter)
    assert caught.value.reason == "ours"


@pytest.mark.parametrize("text", [told(503, "busy"), "chaincode response 500, it broke"])
def test_a_contract_that_is_busy_or_broken_is_asked_of_another_peer(
    submitter: Submitter, scripted: list[ScriptedPeer], text: str
) -> None:
    scripted[0].answers["Endorse"] = answered(text)
    submit(submitter)
    assert "Submit" in scripted[0].requests


def test_without_any_endorsement_nothing_is_broadcast(
    submitter: Submitter, scripted: list[ScriptedPeer], time: Time
) -> None:
    for peer in scripted:
        peer.answers["Endorse"] = UNAVAILABLE
    with pytest.raises(Unavailable):
        submit(submitter)
    assert [list(peer.requests) for peer in scripted] == [["Endorse"]] * 3
    assert time.now_s < 1


def test_a_failed_submission_goes_on_with_the_same_bytes_at_the_next_peer(
    submitter: Submitter, scripted: list[ScriptedPeer]
) -> None:
    scripted[0].answers |= {"Submit": NO_ORDERER, "CommitStatus": UNKNOWN_ID}
    scripted[1].answers |= {"Submit": NO_ORDERER}
    tx_id = submit(submitter)
    assert kept(scripted[0]) == kept(scripted[1]) == kept(scripted[2])
    assert scripted[2].last("Submit").transaction_id == tx_id
    assert len(scripted[0].requests["CommitStatus"]) == 2


@pytest.mark.parametrize("code", [0, 11])
def test_what_is_in_a_block_is_not_submitted_again(
    submitter: Submitter, scripted: list[ScriptedPeer], code: int
) -> None:
    """Valid or not: what became of it is learnt from the blocks."""
    scripted[0].answers["Submit"] = NO_ORDERER
    scripted[0].answers["CommitStatus"] = lambda request, context: _status(code)
    submit(submitter)
    assert kept(scripted[1]) == []


def test_another_peer_tells_the_status_where_the_own_one_is_down(
    submitter: Submitter, scripted: list[ScriptedPeer]
) -> None:
    scripted[0].answers |= {"Submit": UNAVAILABLE, "CommitStatus": UNAVAILABLE}
    submit(submitter)
    assert "CommitStatus" in scripted[1].requests
    assert kept(scripted[1]) == []


def test_what_the_orderers_have_already_is_submitted(submitter: Submitter, scripted: list[ScriptedPeer]) -> None:
    scripted[0].answers["Submit"] = IN_THE_POOL
    tx_id = submit(submitter)
    assert scripted[0].last("Submit").transaction_id == tx_id
    assert "CommitStatus" not in scripted[0].requests
    assert kept(scripted[1]) == []


def test_an_outcome_that_stays_unknown_is_said_with_the_id_after_a_bounded_time(
    submitter: Submitter, scripted: list[ScriptedPeer], time: Time
) -> None:
    for peer in scripted:
        peer.answers |= {"Submit": NO_ORDERER, "CommitStatus": UNKNOWN_ID}
    with pytest.raises(OutcomeUnknown) as caught:
        submit(submitter)
    assert caught.value.tx_id == scripted[0].last("Endorse").transaction_id
    assert ORDERING_S <= time.now_s < ORDERING_S + 1
    assert len({raw for peer in scripted for raw in kept(peer)}) == 1


def _status(code: int) -> Any:
    return gateway.CommitStatusResponse(result=code, block_number=7)
