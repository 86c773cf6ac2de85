from __future__ import annotations

import pytest

from domain.errors import Invalid
from node_service.api.byte_ranges import MAX_RANGE_BYTES, ByteRange, parse_range, partial


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ByteRange(0, MAX_RANGE_BYTES)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=10-19", ByteRange(10, 10)),
        (f"bytes=0-{MAX_RANGE_BYTES - 1}", ByteRange(0, MAX_RANGE_BYTES)),
    ],
)
def test_one_closed_range_is_read(header: str | None, expected: ByteRange) -> None:
    assert parse_range(header) == expected


@pytest.mark.parametrize(
    "header",
    ["bytes=0-", "bytes=-5", "bytes=5-4", "bytes=0-1,3-4", "items=0-1", f"bytes=0-{MAX_RANGE_BYTES}", "bytes=٠-١", ""],
)
def test_every_other_range_is_refused(header: str) -> None:
    with pytest.raises(Invalid):
        parse_range(header)


def test_the_answer_says_which_bytes_it_holds() -> None:
    answer = partial(ByteRange(10, 10), b"12345")
    assert answer.status_code == 206
    assert answer.headers["content-range"] == "bytes 10-14/*"
