"""The stub over a peer keeps the rules of the embedded ledger's stub, and asks the peer for no more than it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.service.message import Kind
from chaincode.service.peer_stub import PeerStub
from chaincode.service.runner import TransactionRunner
from chaincode.service.server import ContractService
from chaincode.stub import (
    MAX_RANGE_ITEMS,
    MAX_VALUE_BYTES,
    KeyModification,
    Response,
    StateValue,
    Stub,
    Version,
    create_composite_key,
)
from domain.errors import Invalid
from domain.instants import moment
from tests.unit.chaincode.service.conftest import Running, Serve, StandingClock
from tests.unit.chaincode.service.peer import CONTRACT, PACKAGE_ID, LedgerPeer, Simulated, proposal
from tests.unit.chaincode.world import NOW, A, MemoryChannel, after

Body = Callable[[Stub], object]
BATCHES = {"use_write_batch": True, "max_size_write_batch": 3}
CLOSED = [Kind.QUERY_STATE_CLOSE]


def letters(*names: str) -> list[str]:
    return [create_composite_key("letter", [name]) for name in names]


def with_state(*keys: str) -> MemoryChannel:
    channel = MemoryChannel()
    for number, key in enumerate(keys):
        channel.state[key] = StateValue(key.encode(), Version(number, 7))
    return channel


class Executed:
    """What a body saw, and what the peer saw of it."""

    def __init__(self, serve: Serve, state: MemoryChannel, body: Body, **given: Any) -> None:
        self.returned: Any = None

        def contract(stub: Stub, _name: str, _arguments: bytes) -> Response:
            self.returned = body(stub)
            return self.returned if isinstance(self.returned, Response) else Response(200)

        offered = given.pop("offered", {})
        with LedgerPeer(serve(contract).address, state) as peer:
            peer.register(**offered)
            self.peer: Simulated = peer.execute(proposal("Test", **given))


def test_a_key_is_asked_once_and_absent_is_none(serve: Serve) -> None:
    present, absent = letters("a", "b")
    read = Executed(serve, with_state(present), lambda stub: [stub.get_state(key) for key in (present, absent) * 2])
    assert read.returned == [present.encode(), None] * 2
    assert read.peer.reads == [present, absent]


def test_reads_do_not_see_own_writes(serve: Serve) -> None:
    (key,) = letters("a")

    def body(stub: Stub) -> object:
        stub.put_state(key, b"new")
        first = stub.get_state(key)
        stub.del_state(key)
        return first, stub.get_state(key), list(stub.get_state_by_partial_composite_key("letter", []))

    read = Executed(serve, with_state(key), body)
    assert read.returned == (key.encode(), key.encode(), [(key, key.encode())])
    assert read.peer.writes == {key: None}


def test_what_was_invoked_by_whom_and_when_is_seen(serve: Serve) -> None:
    def body(stub: Stub) -> object:
        assert isinstance(stub, PeerStub)
        return stub.channel, stub.timestamp, stub.creator.msp_id, stub.creator.organizational_units, stub.transient

    at = moment(after(3)).replace(microsecond=250_001)
    seen = Executed(serve, with_state(), body, at=at, transient={"secret": b"\0\1", "other": b""})
    assert seen.returned == ("medical", at, A, ("client",), {"secret": b"\0\1", "other": b""})


def write_five(stub: Stub) -> None:
    for name in "edcba":
        stub.put_state(letters(name)[0], b"first")
    stub.del_state(letters("b")[0])
    stub.put_state(letters("e")[0], b"last")


FIVE = [
    (letters(name)[0], value)
    for name, value in zip("abcde", [b"first", None, b"first", b"first", b"last"], strict=True)
]


def test_writes_are_told_one_by_one_sorted_where_nothing_was_offered(serve: Serve) -> None:
    told = Executed(serve, with_state(), write_five).peer
    assert list(told.writes.items()) == FIVE
    assert told.asked == [Kind.PUT_STATE, Kind.DEL_STATE, *[Kind.PUT_STATE] * 3]


def test_writes_are_told_in_batches_as_large_as_offered(serve: Serve) -> None:
    told = Executed(serve, with_state(), write_five, offered=BATCHES).peer
    assert list(told.writes.items()) == FIVE
    assert (told.asked, told.messages) == ([Kind.WRITE_BATCH_STATE] * 2, [3, 2])


@pytest.mark.parametrize("offered", [{"max_size_write_batch": 3}, {"use_write_batch": True}])
def test_half_an_offer_is_none(serve: Serve, offered: dict[str, Any]) -> None:
    assert Executed(serve, with_state(), write_five, offered=offered).peer.messages == [1] * 5


def test_batches_are_bounded_in_bytes(serve: Serve) -> None:
    def body(stub: Stub) -> None:
        for number in range(33):
            stub.put_state(f"k{number:02}", bytes(MAX_VALUE_BYTES))

    offered = {"use_write_batch": True, "max_size_write_batch": 1000}
    assert Executed(serve, with_state(), body, offered=offered).peer.messages == [31, 2]


@pytest.mark.parametrize("status", [400, 409, 500])
def test_an_error_of_the_contract_writes_nothing_and_tells_nobody(serve: Serve, status: int) -> None:
    def body(stub: Stub) -> Response:
        write_five(stub)
        stub.set_event("e", b"")
        return Response(status, "told", b"payload")

    told = Executed(serve, with_state(), body).peer
    assert (told.asked, told.event, told.response) == ([], None, (status, "told", b"payload"))


def test_the_last_event_wins(serve: Serve) -> None:
    def body(stub: Stub) -> None:
        stub.set_event("first", b"1")
        stub.set_event("second", b"")

    assert Executed(serve, with_state(), body).peer.event == ("second", b"")


@pytest.mark.parametrize(("stored", "more"), [(0, 0), (1, 0), (100, 0), (101, 1), (200, 1), (201, 2), (1000, 9)])
def test_ranges_are_fetched_whole_and_closed(serve: Serve, stored: int, more: int) -> None:
    keys = letters(*(f"{number:05}" for number in range(stored)), "\U0010fffe")[:stored]
    state = with_state(*keys, *(create_composite_key("lettes", ["a"]), create_composite_key("a", ["z"])))
    read = Executed(serve, state, lambda stub: stub.get_state_by_partial_composite_key("letter", []))
    assert read.returned == [(key, key.encode()) for key in keys]
    assert read.peer.ranges == [("\0letter\0", "\0letter\0\U0010ffff")]
    assert read.peer.asked == [Kind.GET_STATE_BY_RANGE, *[Kind.QUERY_STATE_NEXT] * more, *CLOSED]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
def test_pages_give_every_key_once(serve: Serve, size: int) -> None:
    keys = letters("a", "b", "c", "d")

    def body(stub: Stub) -> object:
        pages, bookmark = [], "\0letter\0"
        while bookmark:
            page = stub.get_state_by_partial_composite_key_with_pagination("letter", [], size, bookmark)
            pages.append([key for key, _ in page.items])
            bookmark = page.bookmark
        return pages

    read = Executed(serve, with_state(*keys), body)
    assert [key for page in read.returned for key in page] == keys
    assert max(map(len, read.returned)) <= size
    assert read.peer.asked == [Kind.GET_STATE_BY_RANGE, *CLOSED] * len(read.returned)


def history(count: int) -> MemoryChannel:
    channel = MemoryChannel()
    channel.past["k"] = [
        KeyModification(f"tx{number}", moment(after(number)), None if number % 2 else b"v%d" % number)
        for number in range(count)
    ]
    return channel


def test_history_is_newest_first_with_deletions_and_times(serve: Serve) -> None:
    read = Executed(serve, history(150), lambda stub: list(stub.get_history_for_key("k")))
    assert read.returned == list(history(150).history("k"))
    assert read.peer.asked == [Kind.GET_HISTORY_FOR_KEY, Kind.QUERY_STATE_NEXT, *CLOSED]


@pytest.mark.parametrize("taken", [1, 100, 101])
def test_history_that_is_not_read_to_its_end_is_closed_before_the_answer(serve: Serve, taken: int) -> None:
    kept: list[Iterable[KeyModification]] = []

    def body(stub: Stub) -> object:
        kept.append(iter(stub.get_history_for_key("k")))
        return list(islice(kept[0], taken))

    read = Executed(serve, history(500), body)
    assert len(read.returned) == taken
    assert read.peer.asked == [Kind.GET_HISTORY_FOR_KEY, *[Kind.QUERY_STATE_NEXT] * (taken > 100), *CLOSED]


def test_a_history_that_is_never_begun_is_closed_too(serve: Serve) -> None:
    kept: list[object] = []
    read = Executed(serve, history(500), lambda stub: kept.append(stub.get_history_for_key("k")))
    assert read.peer.asked == [Kind.GET_HISTORY_FOR_KEY, *CLOSED]


def test_a_query_is_read_while_other_keys_are_asked(serve: Serve) -> None:
    state = history(250)
    state.state = dict(with_state("k").state)
    read = Executed(
        serve, state, lambda stub: [(past.tx_id, stub.get_state("k")) for past in stub.get_history_for_key("k")]
    )
    assert len(read.returned) == 250
    assert {value for _, value in read.returned} == {b"k"}


def refusals() -> dict[str, tuple[Body, str]]:
    """Calls that every stub refuses, with the reason."""
    (key,) = letters("a")
    page = partial(PeerStub.get_state_by_partial_composite_key_with_pagination)

    def after_page(stub: Any) -> None:
        page(stub, "letter", [], 1, "")
        stub.put_state(key, b"1")

    def after_write(stub: Any) -> None:
        stub.del_state(key)
        page(stub, "letter", [], 1, "")

    return {
        "empty value": (lambda stub: stub.put_state("k", b""), "empty-value"),
        "long value": (lambda stub: stub.put_state("k", bytes(MAX_VALUE_BYTES + 1)), "too-large"),
        "20 MB": (lambda stub: stub.put_state("k", bytes(20 << 20)), "too-large"),
        "long key": (lambda stub: stub.put_state("é" * 2049, b"1"), "key"),
        "no key": (lambda stub: stub.del_state(""), "key"),
        "get nothing": (lambda stub: stub.get_state(""), "key"),
        "history of nothing": (lambda stub: stub.get_history_for_key(""), "key"),
        "lone surrogate": (lambda stub: stub.get_state("\ud800"), "key"),
        "event name": (lambda stub: stub.set_event("", b""), "event-name"),
        "long event": (lambda stub: stub.set_event("e", bytes((1 << 20) + 1)), "too-large"),
        "write after page": (after_page, "paged-query"),
        "page after write": (after_write, "paged-query"),
        "page of none": (lambda stub: page(stub, "letter", [], 0, ""), "page-size"),
        "long page": (lambda stub: page(stub, "letter", [], 1001, ""), "page-size"),
        "bookmark": (lambda stub: page(stub, "letter", [], 1, "\0other\0"), "bookmark"),
        "bad part": (lambda stub: stub.get_state_by_partial_composite_key("letter", ["\0"]), "composite-key"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_the_embedded_stub_refuses_is_refused_with_the_same_reason(serve: Serve, case: str) -> None:
    body, reason = refusals()[case]

    def told(stub: Stub) -> str:
        try:
            body(stub)
        except Invalid as error:
            return error.reason
        return "nothing"

    assert Executed(serve, with_state(*letters("a", "b")), told).returned == reason


def test_a_result_that_a_peer_might_have_cut_off_is_refused(serve: Serve) -> None:
    channel = MemoryChannel()
    channel.state = {f"\0letter\0{n:05}\0": StateValue(b"1", Version(0, 0)) for n in range(MAX_RANGE_ITEMS + 1)}

    def body(stub: Stub) -> str:
        try:
            list(stub.get_state_by_partial_composite_key("letter", []))
        except Invalid as error:
            return error.reason
        return "nothing"

    read = Executed(serve, channel, body)
    assert read.returned == "range-too-large"
    assert read.peer.asked[-1] == Kind.QUERY_STATE_CLOSE


ACTIONS = st.one_of(
    st.tuples(st.just("get"), st.sampled_from("abcde"), st.just(b"")),
    st.tuples(st.just("put"), st.sampled_from("abcde"), st.binary(max_size=3)),
    st.tuples(st.just("delete"), st.sampled_from("abcde"), st.just(b"")),
    st.tuples(st.just("range"), st.just(""), st.just(b"")),
    st.tuples(st.just("page"), st.sampled_from(["", "b", "x"]), st.sampled_from([b"1", b"2", b"9"])),
    st.tuples(st.just("history"), st.sampled_from("abc"), st.just(b"")),
    st.tuples(st.just("event"), st.sampled_from(["", "e", "f"]), st.binary(max_size=2)),
)


def act(stub: Stub, actions: list[tuple[str, str, bytes]]) -> list[Any]:
    """Do all of it; refusals are results too."""
    results: list[Any] = []
    for what, name, raw in actions:
        try:
            results.append(_act(stub, what, name, raw))
        except Invalid as error:
            results.append((error.reason, error.detail))
    return results


def _act(stub: Stub, what: str, name: str, raw: bytes) -> object:
    (key,) = letters(name) if name else ("",)
    match what:
        case "get":
            return stub.get_state(key)
        case "put":
            stub.put_state(key, raw)
        case "delete":
            stub.del_state(key)
        case "range":
            return list(stub.get_state_by_partial_composite_key("letter", []))
        case "page":
            return stub.get_state_by_partial_composite_key_with_pagination("letter", [], int(raw), key)
        case "history":
            return list(stub.get_history_for_key(key))
        case "event":
            stub.set_event(name, raw)
    return None


@pytest.fixture(scope="module")
def acting() -> Any:
    """A service whose contract does what the test says, kept for all examples."""
    script: dict[str, Any] = {}

    def contract(stub: Stub, _name: str, _arguments: bytes) -> Response:
        script["results"] = act(stub, script["actions"])
        return Response(script["status"])

    service = ContractService(PACKAGE_ID, TransactionRunner(contract, CONTRACT, StandingClock()))
    with LedgerPeer(Running(service).address, MemoryChannel()) as peer:
        peer.register(**BATCHES)
        yield script, peer
    service.stop(2.0)


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from("abcde")), st.lists(ACTIONS, max_size=12), st.sampled_from([200, 400]))
def test_any_use_of_the_stub_gives_the_same_as_the_embedded_one(
    acting: Any, present: set[str], actions: list[tuple[str, str, bytes]], status: int
) -> None:
    script, peer = acting
    channel = with_state(*letters(*sorted(present)))
    channel.past = {key: [KeyModification("tx", moment(NOW), b"1")] for key in letters(*sorted(present))}
    peer.state = channel
    script.update(actions=actions, status=status)
    told = peer.execute(proposal("Act"))
    stub = channel.stub()
    expected_results = act(stub, actions)
    expected = stub.result(Response(status))
    assert script["results"] == expected_results
    assert list(told.writes.items()) == [(write.key, write.value) for write in expected.writes]
    assert told.event == (None if expected.event is None else (expected.event.name, expected.event.payload))
    assert sorted(told.reads) == [read.key for read in expected.reads]
