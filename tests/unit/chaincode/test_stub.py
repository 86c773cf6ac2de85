"""The stub keeps Fabric's rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.stub import (
    MAX_RANGE_ITEMS,
    MAX_VALUE_BYTES,
    ChaincodeEvent,
    KeyModification,
    Read,
    Response,
    StateValue,
    TransactionStub,
    Version,
    Write,
    create_composite_key,
    partial_composite_key_range,
    split_composite_key,
)
from domain.errors import Invalid
from domain.instants import moment
from tests.unit.chaincode.world import NOW, MemoryChannel

OK = Response(200)


def with_state(*keys: str) -> MemoryChannel:
    channel = MemoryChannel()
    for number, key in enumerate(keys):
        channel.state[key] = StateValue(key.encode(), Version(number, 7))
    return channel


def letters(*names: str) -> list[str]:
    return [create_composite_key("letter", [name]) for name in names]


def test_composite_key_has_the_bytes_of_fabric() -> None:
    assert create_composite_key("grant", ["p", "g"]) == "\0grant\0p\0g\0"


@given(st.lists(st.text(st.characters(exclude_characters="\0\U0010ffff", codec="utf-8")), max_size=4))
def test_composite_key_splits_into_what_it_was_made_of(attributes: list[str]) -> None:
    assert split_composite_key(create_composite_key("t", attributes)) == ("t", tuple(attributes))


@pytest.mark.parametrize("part", ["a\0b", "\U0010ffff", "\ud800"])
def test_composite_key_refuses_parts_that_would_shift_its_borders(part: str) -> None:
    for refused in (partial(create_composite_key, "t", [part]), partial(create_composite_key, part, [])):
        with pytest.raises(Invalid) as refusal:
            refused()
        assert refusal.value.reason == "composite-key"


def test_a_composite_key_has_an_object_type() -> None:
    with pytest.raises(Invalid) as refusal:
        create_composite_key("", ["a"])
    assert refusal.value.reason == "composite-key"


@pytest.mark.parametrize("key", ["", "a", "\0", "\0\0", "\0a", "a\0b\0", "\0a\0b", "\0\0a\0"])
def test_what_is_no_composite_key_is_not_split(key: str) -> None:
    with pytest.raises(Invalid) as refusal:
        split_composite_key(key)
    assert refusal.value.reason == "composite-key"


def test_partial_range_holds_the_keys_below_and_no_neighbour() -> None:
    start, end = partial_composite_key_range("t", ["a"])
    assert start <= create_composite_key("t", ["a", "\U0010fffe"]) < end
    assert not start <= create_composite_key("t", ["ab"]) < end
    assert not start <= create_composite_key("t", ["b"]) < end


def test_reads_do_not_see_own_writes() -> None:
    (key,) = letters("a")
    stub = with_state(key).stub()
    stub.put_state(key, b"new")
    assert stub.get_state(key) == key.encode()
    stub.del_state(key)
    assert stub.get_state(key) == key.encode()


def test_reads_are_recorded_with_versions_sorted_and_once() -> None:
    a, b, absent = letters("a", "b", "aa")
    stub = with_state(a, b).stub()
    for key in (b, absent, a, b):
        stub.get_state(key)
    assert stub.result(OK).reads == (Read(a, Version(0, 7)), Read(absent, None), Read(b, Version(1, 7)))


def test_writes_are_sorted_and_the_last_one_wins() -> None:
    a, b = letters("a", "b")
    stub = with_state().stub()
    stub.put_state(b, b"1")
    stub.put_state(a, b"1")
    stub.put_state(b, b"2")
    stub.put_state(a, b"2")
    stub.del_state(a)
    assert stub.result(OK).writes == (Write(a, None), Write(b, b"2"))


def test_keys_are_sorted_by_code_point_as_leveldb_sorts_their_utf8() -> None:
    keys = letters("\uffff", "\U00010000", "z")
    stub = with_state().stub()
    for key in keys:
        stub.put_state(key, b"1")
    assert [write.key for write in stub.result(OK).writes] == sorted(keys, key=str.encode)


def test_a_range_is_recorded_whole_with_versions() -> None:
    a, b = letters("a", "b")
    channel = with_state(a, b, create_composite_key("other", ["a"]))
    stub = channel.stub()
    stub.put_state(letters("c")[0], b"own writes are not seen")
    assert list(stub.get_state_by_partial_composite_key("letter", [])) == [(a, a.encode()), (b, b.encode())]
    (found,) = stub.result(OK).ranges
    assert (found.start_key, found.end_key) == ("\0letter\0", "\0letter\0\U0010ffff")
    assert found.exhausted
    assert found.reads == (Read(a, Version(0, 7)), Read(b, Version(1, 7)))
    assert stub.result(OK).reads == ()


def test_the_same_range_is_recorded_once() -> None:
    stub = with_state().stub()
    stub.get_state_by_partial_composite_key("letter", [])
    stub.get_state_by_partial_composite_key("letter", [])
    assert len(stub.result(OK).ranges) == 1


@pytest.mark.parametrize("stored", [MAX_RANGE_ITEMS, MAX_RANGE_ITEMS + 1])
def test_a_result_that_a_peer_might_have_cut_off_is_refused(stored: int) -> None:
    channel = MemoryChannel()
    channel.state = {f"\0letter\0{number:05}\0": StateValue(b"1", Version(0, 0)) for number in range(stored)}
    channel.past["k"] = [KeyModification("tx", moment(NOW), b"1")] * stored
    stub = channel.stub()
    for read in (
        partial(stub.get_state_by_partial_composite_key, "letter", []),
        partial(stub.get_history_for_key, "k"),
    ):
        if stored == MAX_RANGE_ITEMS:
            assert len(list(read())) == stored
            continue
        with pytest.raises(Invalid) as refusal:
            list(read())
        assert refusal.value.reason == "range-too-large"


def read_pages(stub: TransactionStub, size: int) -> list[list[str]]:
    pages: list[list[str]] = []
    bookmark = ""
    while True:
        page = stub.get_state_by_partial_composite_key_with_pagination("letter", [], size, bookmark)
        pages.append([key for key, _ in page.items])
        if not page.bookmark:
            return pages
        bookmark = page.bookmark


@pytest.mark.parametrize(("size", "lengths"), [(1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1]), (4, [4]), (1000, [4])])
def test_pages_give_every_key_once(size: int, lengths: list[int]) -> None:
    keys = letters("a", "b", "c", "d")
    pages = read_pages(with_state(*keys).stub(), size)
    assert [len(page) for page in pages] == lengths
    assert [key for page in pages for key in page] == keys


def test_a_page_that_stops_early_records_only_what_was_read() -> None:
    a, b = letters("a", "b")
    stub = with_state(a, b).stub()
    stub.get_state_by_partial_composite_key_with_pagination("letter", [], 1, "")
    (found,) = stub.result(OK).ranges
    assert (found.end_key, found.exhausted, [read.key for read in found.reads]) == (a, False, [a])


def test_nothing_is_written_after_a_paged_query() -> None:
    (key,) = letters("a")
    stub = with_state(key).stub()
    stub.get_state_by_partial_composite_key_with_pagination("letter", [], 1, "")
    for write in (partial(stub.put_state, key, b"1"), partial(stub.del_state, key)):
        with pytest.raises(Invalid) as refusal:
            write()
        assert refusal.value.reason == "paged-query"


def test_nothing_is_paged_after_a_write() -> None:
    (key,) = letters("a")
    stub = with_state(key).stub()
    stub.put_state(key, b"1")
    with pytest.raises(Invalid) as refusal:
        stub.get_state_by_partial_composite_key_with_pagination("letter", [], 1, "")
    assert refusal.value.reason == "paged-query"


@pytest.mark.parametrize(
    ("size", "bookmark", "reason"),
    [
        (0, "", "page-size"),
        (1001, "", "page-size"),
        (1, "\0other\0a\0", "bookmark"),
        (1, "\0lettes\0", "bookmark"),
        (1, "\0letter\0\U0010ffff", "bookmark"),
    ],
)
def test_pages_have_bounds(size: int, bookmark: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        with_state().stub().get_state_by_partial_composite_key_with_pagination("letter", [], size, bookmark)
    assert refusal.value.reason == reason


def test_a_page_may_start_at_the_first_key_of_the_range() -> None:
    page = (
        with_state(*letters("a"))
        .stub()
        .get_state_by_partial_composite_key_with_pagination("letter", [], 1000, "\0letter\0")
    )
    assert [key for key, _ in page.items] == letters("a")


def test_an_empty_value_is_refused_because_fabric_would_delete() -> None:
    with pytest.raises(Invalid) as refusal:
        with_state().stub().put_state("k", b"")
    assert refusal.value.reason == "empty-value"


def test_values_keys_and_events_have_bounds() -> None:
    stub = with_state().stub()
    stub.put_state("k", bytes(MAX_VALUE_BYTES))
    stub.put_state("k" * 4096, b"1")
    stub.set_event("e", bytes(1 << 20))
    calls: list[tuple[Callable[[], object], str]] = [
        (partial(stub.put_state, "k", bytes(MAX_VALUE_BYTES + 1)), "too-large"),
        (partial(stub.put_state, "k" * 4097, b"1"), "key"),
        (partial(stub.put_state, "é" * 2049, b"1"), "key"),
        (partial(stub.put_state, "", b"1"), "key"),
        (partial(stub.put_state, "\ud800", b"1"), "key"),
        (partial(stub.del_state, ""), "key"),
        (partial(stub.get_state, ""), "key"),
        (partial(stub.get_history_for_key, ""), "key"),
        (partial(stub.set_event, "", b""), "event-name"),
        (partial(stub.set_event, "e", bytes((1 << 20) + 1)), "too-large"),
    ]
    for call, reason in calls:
        with pytest.raises(Invalid) as refusal:
            call()
        assert refusal.value.reason == reason


def test_the_last_event_wins() -> None:
    stub = with_state().stub()
    stub.set_event("first", b"1")
    stub.set_event("second", b"2")
    assert stub.result(OK).event == ChaincodeEvent("second", b"2")


@pytest.mark.parametrize("status", [400, 409, 500])
def test_an_error_writes_nothing_and_tells_nobody(status: int) -> None:
    stub = with_state().stub()
    stub.put_state("k", b"1")
    stub.set_event("e", b"")
    result = stub.result(Response(status))
    assert (result.writes, result.event) == ((), None)


def test_history_is_no_part_of_the_read_set() -> None:
    stub = with_state("k").stub()
    assert list(stub.get_history_for_key("k")) == []
    assert stub.result(OK).reads == ()
