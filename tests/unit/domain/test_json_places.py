"""A refusal names the line and column at which a text breaks a rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import jcs
from domain.errors import Invalid
from domain.json_places import line_and_column, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a":1,\n"a":2}', "line 2 column 1"),
        ('{"b":{"a":1},"a":{"a":1,"\\u0061":2}}', "line 1 column 25"),
        ('[{"a":1},{"a":1},{"a":1,"b":[1],"b":2}]', "line 1 column 33"),
        ('{"NaN":"NaN",\n "b":NaN}', "line 2 column 6"),
        ('{"a":[1,-Infinity]}', "line 1 column 9"),
        ('["1e400",1e400]', "line 1 column 10"),
        ("[1," + "9" * 5000 + "]", "line 1 column 4"),
        ('["\\ud83d\\ude00","\\ud83d"]', "line 1 column 17"),
        ('["[[[[",' + "[" * 9 + "]" * 10, "line 1 column 16"),
    ],
)
def test_a_refused_text_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        jcs.load(text.encode(), max_bytes=1 << 20, max_depth=8)
    assert refused.value.place == place


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from('{}[]",:\\a1u0Nn \n-.e'), max_size=60),
    st.sampled_from(["duplicate-key", "not-json", "lone-surrogate", "too-deep"]),
)
def test_any_text_is_walked_to_its_end(text: str, reason: str) -> None:
    place_of(reason, text, max_depth=3)


def test_a_text_is_walked_in_linear_time() -> None:
    for text in ('"' + '\\"' * 500_000, '{"a":' * 200_000, '"' * 500_001):
        for reason in ("duplicate-key", "not-json", "lone-surrogate"):
            assert place_of(reason, text) == ""


def test_lines_and_columns_count_from_one() -> None:
    assert line_and_column("ab\ncd", 0) == "line 1 column 1"
    assert line_and_column("ab\ncd", 4) == "line 2 column 2"
