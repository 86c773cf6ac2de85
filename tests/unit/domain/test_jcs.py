"""Canonical JSON of the signed subset."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain import jcs
from domain.errors import Invalid
from tests.cpu import frugal


def is_nfc(text: str) -> bool:
    try:
        jcs.check_signable(text)
    except Invalid:
        return False
    return True


TEXTS = st.text(st.characters(codec="utf-8", max_codepoint=0x2FF)).filter(is_nfc)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-jcs.MAX_SAFE_INTEGER, jcs.MAX_SAFE_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


def refusal(encoded: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        jcs.parse(encoded)
    return caught.value.reason


def test_keys_are_sorted_by_utf16_and_strings_escaped_as_rfc_8785_says() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "ö": '\u000f"\\\n'}
    expected = '{"\\r":2,"1":4,"\u0080":6,"ö":"\\u000f\\"\\\\\\n","€":1,"😀":5,"\ufb33":3}'
    if not is_nfc("\ufb33"):
        value.pop("\ufb33")
        expected = expected.replace(',"\ufb33":3', "")
    assert jcs.canonical(value) == expected.encode()


@given(VALUES)
def test_what_was_encoded_is_read_back(value: Any) -> None:
    encoded = jcs.canonical(value)
    assert jcs.parse(encoded) == value
    assert json.loads(encoded) == value


@given(VALUES, st.sampled_from([lambda b: b + b" ", lambda b: b" " + b, lambda b: b.replace(b"[", b"[ ", 1)]))
def test_another_spelling_is_refused(value: Any, respell: Callable[[bytes], bytes]) -> None:
    encoded = jcs.canonical([value, 1])
    assert refusal(respell(encoded)) == "not-canonical"


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b'{"a":1,"a":1}', "duplicate-key"),
        (b'{"b":1,"a":1}', "not-canonical"),
        (b"1.5", "not-signable"),
        (b"1.0", "not-signable"),
        (b"1e3", "not-signable"),
        (b"-0", "not-canonical"),
        (b"01", "not-json"),
        (b"NaN", "not-json"),
        (b"Infinity", "not-json"),
        (b"-Infinity", "not-json"),
        (b"9007199254740991", ""),
        (b"-9007199254740991", ""),
        (b"9007199254740992", "integer-range"),
        (b"1" * 5000, "not-json"),
        (b'"\\ud800"', "lone-surrogate"),
        (b'"e\xcc\x81"', "not-nfc"),
        (b'"\xff"', "not-utf8"),
        (b'"\\u0061"', "not-canonical"),
        (b'"\\/"', "not-canonical"),
        (b"", "not-json"),
        (b"[1,]", "not-json"),
        (b"\xef\xbb\xbf1", "not-json"),
        (b"[" * 17 + b"]" * 17, "too-deep"),
        (b"[" * 16 + b"]" * 16, ""),
        (b"[" * 100_000, "too-deep"),
        (b'{"a":' * 100_000, "too-deep"),
        (b'"' + b"[" * 1000 + b'"', ""),
        (b'["\\"[[[[[[[[[[[[[[[[[[[[[[[["]', ""),
    ],
)
def test_hostile_texts(encoded: bytes, reason: str) -> None:
    if reason:
        assert refusal(encoded) == reason
    else:
        assert jcs.canonical(jcs.parse(encoded)) == encoded


def test_length_is_bounded_before_reading() -> None:
    with pytest.raises(Invalid) as caught:
        jcs.parse(b'"' + b"a" * jcs.MAX_SIGNED_BYTES + b'"')
    assert caught.value.reason == "too-large"


def test_a_text_may_be_as_long_as_its_bound() -> None:
    text = b'"' + b"a" * 10 + b'"'
    assert jcs.load(text, max_bytes=12, max_depth=0) == "a" * 10
    with pytest.raises(Invalid) as caught:
        jcs.load(text, max_bytes=11, max_depth=0)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize(
    ("encoded", "place"),
    [
        (b'{"a":1,"a":1}', "line 1 column 8"),
        (b'{"a":[[[[1]]]]}', "line 1 column 8"),
        (b'["\\ud800"]', "line 1 column 2"),
        (b'{"a":"\xff"}', "byte 6"),
        (b'{"a"\n}', "line 2 column 1"),
        (b'{"a":NaN}', "line 1 column 6"),
        (b'{"a":1e999}', "line 1 column 6"),
        (b"[" + b"1" * 5000 + b"]", "line 1 column 2"),
    ],
)
def test_a_refused_text_is_refused_at_its_place(encoded: bytes, place: str) -> None:
    with pytest.raises(Invalid) as caught:
        jcs.load(encoded, max_bytes=1 << 20, max_depth=3)
    assert caught.value.place == place
    assert " " in caught.value.detail


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]} if depth % 2 == 0 else [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.0, "not-signable"),
        (b"a", "not-signable"),
        ({1: 2}, "not-json"),
        (object(), "not-signable"),
        ((1,), "not-signable"),
        ({"a": {2}}, "not-signable"),
        (2**53, "integer-range"),
        (-(2**53), "integer-range"),
        ("\ud800", "lone-surrogate"),
        ({"\udfff": 1}, "lone-surrogate"),
        ("e\u0301", "not-nfc"),
        ({"e\u0301": 1}, "not-nfc"),
        (nested(17), "too-deep"),
        ([[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]], "too-deep"),
        ({"a": nested(16)}, "too-deep"),
    ],
)
def test_what_is_no_signed_json_is_not_encoded(value: object, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        jcs.canonical(value)
    assert caught.value.reason == reason
    assert " " in caught.value.detail


@pytest.mark.parametrize("value", [2**53 - 1, 1 - 2**53, True, None, nested(15), nested(8), "\ud7ff\ue000", "é"])
def test_what_lies_at_the_bounds_is_encoded_and_read_back(value: object) -> None:
    assert jcs.parse(jcs.canonical(value)) == value


def test_an_object_is_expected_where_one_is() -> None:
    with pytest.raises(Invalid) as caught:
        jcs.parse_object(b"[]")
    assert caught.value.reason == "not-an-object"


@given(VALUES)
def test_the_fast_way_gives_the_bytes_of_the_reference_encoder(value: Any) -> None:
    assert jcs.canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("text", ["".join(map(chr, range(128))), 'é"\\\x7f', "\U0001f600\ue000", "~"])
def test_every_character_is_escaped_as_the_reference_encoder_does(text: str) -> None:
    assert jcs.canonical({text: text, "a": [text, 1, None, True]}) == rfc8785.dumps(
        {text: text, "a": [text, 1, None, True]}
    )


def test_a_string_that_never_ends_costs_no_more_than_its_length() -> None:
    def read() -> None:
        with pytest.raises(Invalid):
            jcs.load(b"[]" * 40 + b'"' + b'\\"' * 200_000, max_bytes=1 << 20, max_depth=32)

    frugal(2.0, read)
