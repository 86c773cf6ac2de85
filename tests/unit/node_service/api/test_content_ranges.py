from __future__ import annotations

import pytest

from node_service.api.content_ranges import entity_tag, part_of

TAG = entity_tag("a")


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=90-", 90, 100), ("bytes=90-500", 90, 100),
        ("bytes=-10", 90, 100), ("bytes=-500", 0, 100), (" bytes=0-99 ", 0, 100),
    ],
)  # fmt: skip
def test_a_range_is_a_part(asked: str, begin: int, end: int) -> None:
    part = part_of(100, TAG, asked)
    assert (part.status, part.begin, part.end) == (206, begin, end)
    assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/100"
    assert part.headers["Content-Length"] == str(end - begin)
    assert part.headers["ETag"] == TAG


@pytest.mark.parametrize(
    "asked", [None, "", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=" + "9" * 40 + "-"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(asked: str | None) -> None:
    part = part_of(100, TAG, asked)
    assert (part.status, part.begin, part.end, part.headers["Content-Length"]) == (200, 0, 100, "100")


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_not_satisfiable(asked: str) -> None:
    part = part_of(100, TAG, asked)
    assert (part.status, part.headers["Content-Range"]) == (416, "bytes */100")


def test_a_range_of_another_content_is_answered_with_the_whole() -> None:
    assert part_of(100, TAG, "bytes=5-", TAG).status == 206
    for other in ('"b"', 'W/"a"', "Sun, 06 Nov 1994 08:49:37 GMT"):
        assert part_of(100, TAG, "bytes=5-", other).status == 200
