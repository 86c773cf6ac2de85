"""The index under erasures that overlap: nothing that is being erased comes back, nothing that was put again goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from offchain.stores.ipfs.index import Entry, Index


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path / "index.db")) as opened:
        yield opened


def entry(digest: str, offset: int = 0) -> Entry:
    return Entry(digest, offset, 10, None, 1.0)


def test_an_object_that_began_to_be_erased_while_it_was_packed_is_erased_from_the_new_segment(index: Index) -> None:
    index.add("old", 20, [entry("a"), entry("b", 10)])
    (segment, _), packed = index.small_segments(100)[0], [entry("b"), entry("a", 10)]
    index.mark_going(["a"])
    index.replace([segment], ("new", 20), packed)
    assert index.find("a") is None
    assert index.going_digests(index.broken_segments()) == {"a"}
    found = index.find("b")
    assert found is not None
    assert found[0].cid == "new"


@pytest.mark.parametrize("step", ["replace", "adopt"])
def test_an_object_that_was_put_again_stays_while_its_first_copy_is_erased(index: Index, step: str) -> None:
    index.add("damaged", 20, [entry("a"), entry("b", 10)])
    index.mark_going(["a"])
    index.add("again", 10, [entry("a")])
    again = index.find("a")
    assert again is not None
    if step == "replace":
        index.replace([again[0]], ("packed", 20), [entry("a"), entry("c", 10)])
    else:
        index.adopt("packed", 20, [entry("a"), entry("c", 10)])
    found = index.find("a")
    assert found is not None
    assert found[0].cid == "packed"


def test_a_file_that_was_found_gives_nothing_back_that_is_being_erased(index: Index) -> None:
    index.add("first", 20, [entry("a"), entry("b", 10)])
    index.mark_going(["a"])
    index.adopt("left by a call that broke off", 10, [entry("a")])
    assert index.find("a") is None
    assert [segment.cid for segment in index.leaving_segments()] == ["left by a call that broke off"]
