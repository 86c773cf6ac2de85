"""The protocol over a real connection, with peers that keep its rules, forget them, or break them on purpose."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.service.message import MAX_MESSAGE_BYTES, Kind
from chaincode.service.metrics import Metrics
from chaincode.service.pool import TransactionPool
from chaincode.service.protos import query_result, shim
from chaincode.service.runner import TransactionRunner
from chaincode.service.server import ContractService, Limits
from chaincode.service.stream import OUTBOX_MESSAGES, PeerStream, Waits
from chaincode.stub import Response, Stub, create_composite_key
from network.blocks import protos
from tests.unit.chaincode.service.conftest import Running, Serve, StandingClock
from tests.unit.chaincode.service.peer import CONTRACT, PACKAGE_ID, RawPeer, proposal, transaction

SECRET = "Zyxqwv"
KEY = create_composite_key("letter", [SECRET])


def get(stub: Stub, _name: str, arguments: bytes) -> Response:
    """Answers with a committed value."""
    return Response(200, payload=stub.get_state(arguments.decode()) or b"none")


def swallow(stub: Stub, name: str, _arguments: bytes) -> Response:
    """A contract that goes on after an error that it should not have survived."""
    try:
        stub.get_state("a")
    except Exception:  # noqa: BLE001 - on purpose
        return Response(200, payload=stub.get_state("b") or b"none") if name == "AskAgain" else Response(200)
    return Response(200)


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def begin(peer: RawPeer, name: str = "Get", arguments: bytes = b"k") -> Any:
    """Send a transaction and give the request that it makes."""
    peer.send(transaction(proposal(name, arguments)))
    return peer.receive()


def answer_of(message: Any) -> bytes:
    return bytes(protos.proposal_response.Response.FromString(message.payload).payload)


def test_a_transaction_is_executed_and_answered(serve: Serve) -> None:
    running = serve(get)
    with RawPeer(running.address) as peer:
        peer.register()
        asked = begin(peer)
        assert asked.type == Kind.GET_STATE
        assert shim.GetState.FromString(asked.payload) == shim.GetState(key="k")
        peer.reply(asked, b"value")
        completed = peer.receive()
    assert (completed.type, completed.txid, answer_of(completed)) == (Kind.COMPLETED, asked.txid, b"value")
    assert running.metric("yilian_contract_transactions_total", status="200") == 1
    assert wait_for(lambda: running.metric("yilian_contract_streams") == 0)


def test_many_transactions_run_at_once_each_with_its_own_answers(serve: Serve) -> None:
    with RawPeer(serve(get, Limits(threads=20)).address) as peer:
        peer.register()
        for number in range(20):
            peer.send(transaction(proposal("Get", f"k{number}".encode())))
        asked = [peer.receive() for _ in range(20)]
        assert len({message.txid for message in asked}) == 20
        for message in reversed(asked):
            peer.reply(message, b"value of " + shim.GetState.FromString(message.payload).key.encode())
        found = {message.txid: answer_of(message) for message in (peer.receive() for _ in range(20))}
    assert found == {it.txid: b"value of " + shim.GetState.FromString(it.payload).key.encode() for it in asked}


def test_a_peer_s_error_is_raised_and_never_taken_for_data(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with RawPeer(serve(get).address) as peer:
        peer.register()
        peer.reply(begin(peer), f"GET_STATE failed for {SECRET}".encode(), Kind.ERROR)
        assert peer.answer() == (500, "peer-refused")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("name", ["AskAgain", "Answer"])
def test_a_contract_that_swallows_a_peer_s_failure_fails_all_the_same(serve: Serve, name: str) -> None:
    with RawPeer(serve(swallow).address) as peer:
        peer.register()
        peer.reply(begin(peer, name), b"no", Kind.ERROR)
        assert peer.answer() == (500, "peer-refused")


def test_a_peer_that_does_not_answer_is_given_up(serve: Serve) -> None:
    limits = Limits(threads=2, waits=Waits(answer_s=0.2))
    with RawPeer(serve(get, limits).address) as peer:
        peer.register()
        asked = begin(peer)
        assert peer.answer() == (500, "peer-silent")
        peer.reply(asked, b"too late")
        peer.reply(begin(peer), b"in time")
        assert answer_of(peer.receive()) == b"in time"


def test_a_stream_that_ends_wakes_all_transactions_that_wait(serve: Serve) -> None:
    running = serve(get, Limits(threads=5, waits=Waits(answer_s=60)))
    with RawPeer(running.address) as peer:
        peer.register()
        for _ in range(10):
            peer.send(transaction(proposal("Get", b"k")))
        for _ in range(5):
            peer.receive()
        assert wait_for(lambda: running.metric("yilian_contract_transactions_in_flight") == 10)
    assert wait_for(lambda: running.metric("yilian_contract_transactions_in_flight") == 0)


def test_a_peer_that_closes_its_side_ends_the_stream_in_order(serve: Serve) -> None:
    running = serve(get)
    with RawPeer(running.address) as peer:
        peer.register()
        begin(peer)
        peer.half_close()
        assert peer.ended_with() == grpc.StatusCode.OK
    assert wait_for(lambda: running.metric("yilian_contract_streams") == 0)


def test_what_the_queue_does_not_hold_is_refused_as_busy(serve: Serve) -> None:
    running = serve(get, Limits(threads=1, max_waiting=1))
    with RawPeer(running.address) as peer:
        peer.register()
        first = begin(peer)
        peer.send(transaction(proposal("Get", b"waits")))
        peer.send(transaction(proposal("Get", b"too many")))
        assert peer.answer() == (503, "busy")
        peer.reply(first, b"1")
        assert answer_of(peer.receive()) == b"1"
        peer.reply(peer.receive(), b"2")
        assert answer_of(peer.receive()) == b"2"


def test_requests_that_wait_are_bounded_in_bytes(serve: Serve) -> None:
    with RawPeer(serve(get, Limits(threads=1, max_waiting=100, max_waiting_bytes=10_000)).address) as peer:
        peer.register()
        peer.send(transaction(proposal("Get", bytes(10_000))))
        assert peer.answer() == (503, "busy")


def test_a_transaction_that_runs_is_not_begun_again(serve: Serve) -> None:
    with RawPeer(serve(get).address) as peer:
        peer.register()
        asked = proposal("Get", b"k")
        peer.send(transaction(asked))
        first = peer.receive()
        peer.send(transaction(asked))
        assert peer.answer() == (503, "duplicate-transaction")
        peer.reply(first, b"value")
        assert answer_of(peer.receive()) == b"value"


def test_a_transaction_of_another_channel_may_have_the_same_id(serve: Serve) -> None:
    with RawPeer(serve(get).address) as peer:
        peer.register()
        asked = proposal("Get", b"k")
        first = transaction(asked)
        second = transaction(asked)
        second.channel_id = "another"
        peer.send(first)
        waiting = peer.receive()
        peer.send(second)
        assert peer.answer() == (400, "bad-proposal")
        peer.reply(waiting, b"value")
        assert answer_of(peer.receive()) == b"value"


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.ERROR, Kind.REGISTERED, Kind.READY, Kind.GET_STATE, 99])
def test_a_message_that_belongs_to_nothing_is_dropped(serve: Serve, kind: int) -> None:
    running = serve(get)
    with RawPeer(running.address) as peer:
        peer.register()
        asked = begin(peer)
        peer.send(shim.ChaincodeMessage(type=kind, txid="unknown", channel_id="unknown", payload=b"\xff"))
        peer.reply(asked, b"value")
        peer.reply(asked, b"another answer to the same request")
        assert answer_of(peer.receive()) == b"value"
        assert wait_for(lambda: running.metric("yilian_contract_messages_dropped_total") == 2)


def test_keepalive_is_echoed_in_every_state(serve: Serve) -> None:
    with RawPeer(serve(get).address) as peer:
        peer.send(shim.ChaincodeMessage(type=Kind.KEEPALIVE))
        assert [peer.receive().type, peer.receive().type] == [Kind.REGISTER, Kind.KEEPALIVE]


@pytest.mark.parametrize(
    "messages",
    [
        [transaction(proposal("Get"))],
        [shim.ChaincodeMessage(type=Kind.READY)],
        [shim.ChaincodeMessage(type=Kind.ERROR, payload=b"refused")],
        [shim.ChaincodeMessage(type=Kind.REGISTERED), shim.ChaincodeMessage(type=Kind.REGISTERED)],
        [shim.ChaincodeMessage(type=Kind.REGISTERED), transaction(proposal("Get"))],
        [shim.ChaincodeMessage(type=Kind.REGISTERED), shim.ChaincodeMessage(type=Kind.READY, payload=b"\xff")],
        [b"\xff\xff\xff\xff"],
        [b"\x1a\xff"],
    ],
)  # fmt: skip
def test_what_the_protocol_does_not_have_ends_the_stream_and_not_the_service(serve: Serve, messages: list[Any]) -> None:
    running = serve(get)
    with RawPeer(running.address) as peer:
        for message in messages:
            peer.send(message)
        assert peer.ended_with() == grpc.StatusCode.OK
    check_serves(running)


def check_serves(running: Running) -> None:
    with RawPeer(running.address) as peer:
        peer.register()
        peer.reply(begin(peer), b"value")
        assert answer_of(peer.receive()) == b"value"


def test_garbage_amid_transactions_wakes_them_and_ends_the_stream(serve: Serve) -> None:
    running = serve(get, Limits(threads=2, waits=Waits(answer_s=60)))
    with RawPeer(running.address) as peer:
        peer.register()
        begin(peer)
        peer.send(b"\xff")
        assert peer.ended_with() == grpc.StatusCode.OK
    assert wait_for(lambda: running.metric("yilian_contract_transactions_in_flight") == 0)
    check_serves(running)


def test_a_peer_that_never_registers_us_is_not_waited_for(serve: Serve) -> None:
    running = serve(get, Limits(waits=Waits(registration_s=0.2)))
    with RawPeer(running.address) as peer:
        assert peer.ended_with() == grpc.StatusCode.DEADLINE_EXCEEDED
    check_serves(running)


def test_a_peer_that_asks_and_does_not_read_is_given_up() -> None:
    abandoned = threading.Event()

    def abandon() -> None:
        abandoned.set()
        stream.end()

    runner, pool = (
        TransactionRunner(get, CONTRACT, StandingClock()),
        TransactionPool(threads=1, max_waiting=1, max_bytes=1),
    )
    stream = PeerStream(PACKAGE_ID, runner, pool, Metrics(), Waits(answer_s=0.1), abandon=abandon)
    keepalive = shim.ChaincodeMessage(type=Kind.KEEPALIVE).SerializeToString()
    outgoing = stream.serve(iter([keepalive] * (OUTBOX_MESSAGES + 10)))
    next(outgoing)
    assert abandoned.wait(5)
    assert len(list(outgoing)) == OUTBOX_MESSAGES
    pool.close(1)


def test_messages_may_have_100_mb_and_no_more(serve: Serve) -> None:
    """A transaction brings its arguments twice: by themselves, and in the proposal."""
    running = serve(lambda _stub, _name, arguments: Response(200, payload=arguments + arguments))
    asked = transaction(proposal("Echo", bytes(49_000_000)))
    assert 98_000_000 < asked.ByteSize() < 100 * 1024 * 1024
    with RawPeer(running.address) as peer:
        peer.register()
        peer.send(asked)
        assert len(answer_of(peer.receive())) == 98_000_000
        peer.send(bytes(100 * 1024 * 1024 + 1))
        assert peer.ended_with() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_answer_that_no_message_holds_fails(serve: Serve) -> None:
    with RawPeer(
        serve(lambda _stub, _name, _arguments: Response(200, payload=bytes(MAX_MESSAGE_BYTES))).address
    ) as peer:
        peer.register()
        peer.send(transaction(proposal("Get")))
        assert peer.answer() == (500, "contract-failed")


def look(stub: Stub, name: str, _arguments: bytes) -> Response:
    """Asks a query of each kind."""
    match name:
        case "Range":
            list(stub.get_state_by_partial_composite_key("letter", []))
        case "Page":
            stub.get_state_by_partial_composite_key_with_pagination("letter", [], 10, "")
        case _:
            list(stub.get_history_for_key("k"))
    return Response(200)


def results(*raw: bytes, has_more: bool = False, metadata: bytes = b"") -> bytes:
    found = [shim.QueryResultBytes(resultBytes=item) for item in raw]
    answer = shim.QueryResponse(results=found, has_more=has_more, id="q", metadata=metadata)
    return bytes(answer.SerializeToString())


NO_TIME = query_result.KeyModification(tx_id="tx")
NO_TIME.timestamp.seconds = 1 << 60


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("Range", [b"\xff"]),
        ("Range", [results(b"\xff")]),
        ("Range", [results(has_more=True), results(has_more=True)]),
        ("Range", [results(has_more=True), b"\xff"]),
        ("Page", [results(metadata=b"\xff")]),
        ("History", [results(b"\xff")]),
        ("History", [results(NO_TIME.SerializeToString())]),
    ],
)
def test_an_answer_that_is_none_fails_the_transaction(serve: Serve, name: str, answers: list[bytes]) -> None:
    with RawPeer(serve(look).address) as peer:
        peer.register()
        asked = begin(peer, name)
        for answer in answers[:-1]:
            peer.reply(asked, answer)
            asked = peer.receive()
        peer.reply(asked, answers[-1])
        assert peer.answer() == (500, "peer-garbled")


def test_a_write_that_the_peer_refuses_fails_the_transaction(serve: Serve) -> None:
    with RawPeer(serve(lambda stub, _name, _arguments: stub.put_state("k", b"v") or Response(200)).address) as peer:
        peer.register()
        peer.reply(begin(peer), b"no", Kind.ERROR)
        assert peer.answer() == (500, "peer-refused")


@pytest.mark.parametrize("away", [timedelta(seconds=60), timedelta(seconds=-60)])
def test_a_proposal_within_60_s_of_the_own_clock_is_executed(
    serve: Serve, clock: StandingClock, away: timedelta
) -> None:
    clock.move(away)
    check_serves(serve(get))


@pytest.mark.parametrize("away", [timedelta(seconds=60, microseconds=1), timedelta(seconds=-61), timedelta(days=9999)])
def test_a_proposal_further_away_is_refused_before_the_contract_sees_it(
    serve: Serve, clock: StandingClock, away: timedelta
) -> None:
    clock.move(away)
    with RawPeer(serve(get).address) as peer:
        peer.register()
        peer.send(transaction(proposal("Get", b"k")))
        assert peer.answer() == (403, "time-window")


def test_there_is_nothing_to_initialise(serve: Serve) -> None:
    with RawPeer(serve(get).address) as peer:
        peer.register()
        peer.send(transaction(proposal("Get", b"k"), Kind.INIT))
        assert peer.answer() == (400, "no-init")


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET), MemoryError()])
def test_an_error_in_the_contract_is_told_by_type_and_transaction_only(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def contract(_stub: Stub, _name: str, _arguments: bytes) -> Response:
        raise error

    asked = proposal(SECRET, SECRET.encode(), transient={SECRET: SECRET.encode()})
    with caplog.at_level(logging.DEBUG), RawPeer(serve(contract).address) as peer:
        peer.register()
        peer.send(transaction(asked))
        message = peer.receive()
    assert SECRET.encode() not in message.SerializeToString()
    assert SECRET not in caplog.text
    assert f"{type(error).__name__} (transaction {asked.tx_id})" in caplog.text


def test_a_contract_that_answers_nonsense_fails_alone(serve: Serve) -> None:
    running = serve(lambda stub, name, arguments: None if name == "None" else get(stub, name, arguments))
    with RawPeer(running.address) as peer:
        peer.register()
        peer.send(transaction(proposal("None")))
        assert peer.answer() == (500, "contract-failed")
    check_serves(running)


def test_a_graceful_stop_finishes_what_runs_and_takes_nothing_new(serve: Serve) -> None:
    running = serve(get)
    with RawPeer(running.address) as peer:
        peer.register()
        asked = begin(peer)
        stopped: list[bool] = []
        stopping = threading.Thread(target=lambda: stopped.append(running.service.stop(5.0)))
        stopping.start()
        assert wait_for(lambda: not running.service.is_serving)
        threading.Event().wait(0.2)
        peer.send(transaction(proposal("Get", b"new")))
        assert peer.answer() == (503, "stopping")
        peer.reply(asked, b"value")
        assert answer_of(peer.receive()) == b"value"
        assert peer.ended_with() == grpc.StatusCode.OK
        stopping.join(5)
    assert stopped == [True]
    with RawPeer(running.address) as late:
        assert late.ended_with() == grpc.StatusCode.UNAVAILABLE


def test_a_stop_cuts_off_what_does_not_end(serve: Serve) -> None:
    running = serve(get, Limits(threads=1, waits=Waits(answer_s=60)))
    with RawPeer(running.address) as peer:
        peer.register()
        begin(peer)
        begun = time.monotonic()
        assert running.service.stop(0.3) is False
        assert time.monotonic() - begun < 3


KINDS = st.sampled_from([*map(int, Kind), 0, 12, 99, 2**31 - 1])
SOME = st.sampled_from(
    [transaction(proposal("Get", b"k")), transaction(proposal("Other")), transaction(proposal("Get"))]
)
MESSAGES = st.one_of(
    st.binary(max_size=40),
    SOME,
    st.builds(
        lambda kind, one, payload: shim.ChaincodeMessage(
            type=kind, channel_id=one.channel_id, txid=one.txid, payload=payload, proposal=one.proposal
        ),
        KINDS,
        SOME,
        st.binary(max_size=20) | st.just(transaction(proposal("Get", b"k")).payload),
    ),
)


@settings(max_examples=60, deadline=None)
@given(ready=st.booleans(), messages=st.lists(MESSAGES, max_size=12))
def test_whatever_a_peer_sends_the_service_goes_on(lasting: Running, ready: bool, messages: list[Any]) -> None:
    with RawPeer(lasting.address) as peer:
        if ready:
            peer.register()
        for message in messages:
            peer.send(message)
        peer.half_close()
        assert peer.ended_with() == grpc.StatusCode.OK
    assert wait_for(lambda: lasting.metric("yilian_contract_transactions_in_flight") == 0)
    check_serves(lasting)


@pytest.fixture(scope="module")
def lasting() -> Iterator[Running]:
    """A service that is kept for all examples."""
    service = ContractService(PACKAGE_ID, TransactionRunner(get, CONTRACT, StandingClock()))
    yield Running(service)
    service.stop(2.0)
