"""Identifiers and binary values have one spelling; what has another is refused where it stands."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.identifiers import (
    check_code,
    check_digest,
    check_identifier,
    check_msp_id,
    decode_bytes,
    decode_digest,
    encode_bytes,
    identifier,
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_an_identifier_is_26_characters_of_lower_case_base32() -> None:
    assert identifier(bytes(16)) == "a" * 26
    assert identifier(b"\xff" * 16) == "7" * 25 + "4"
    with pytest.raises(ValueError, match="16 random bytes"):
        identifier(bytes(15))


@given(st.binary(min_size=16, max_size=16))
def test_every_identifier_is_accepted(random_bytes: bytes) -> None:
    assert check_identifier(identifier(random_bytes), "id") == identifier(random_bytes)


@pytest.mark.parametrize("text", ["", "a" * 25, "a" * 27, "A" * 26, "a" * 25 + "b", "1" + "a" * 25, "a" * 26 + "\n", 7])
def test_another_spelling_is_no_identifier(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        check_identifier(text, "entry.id")
    assert refused.value.place == "entry.id"


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (check_msp_id, ["A", "RenheMSP", "a.b-C9", "M" * 64], ["", "9MSP", "a b", "M" * 65, "é", "MSP\n", None]),
        (check_code, ["9", "TREAT", "a.b_c-9", "c" * 64], ["", "-a", "a b", "c" * 65, "a/b", "TREAT\n", None]),
    ],
)
def test_names_have_a_closed_alphabet_and_a_length(
    check: Callable[[object, str], str], good: list[str], bad: list[object]
) -> None:
    for text in good:
        assert check(text, "name") == text
    for wrong in bad:
        with pytest.raises(Invalid) as refused:
            check(wrong, "name")
        assert refused.value.place == "name"


@given(st.binary(max_size=200))
def test_bytes_come_back(value: bytes) -> None:
    assert decode_bytes(encode_bytes(value), "value") == value


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_short_text_is_read_in_its_one_spelling_or_refused(count: int) -> None:
    spellings = {encode_bytes(bytes(item)) for item in itertools.product(range(256), repeat=1)} | {
        encode_bytes(bytes(item)) for item in itertools.product(range(0, 256, 7), range(256))
    }
    for characters in itertools.product(ALPHABET, repeat=count):
        text = "".join(characters)
        try:
            value = decode_bytes(text, "value")
        except Invalid:
            assert text not in spellings
        else:
            assert base64.urlsafe_b64encode(value).decode().rstrip("=") == text


@pytest.mark.parametrize("text", ["AA==", "A+/A", "AAAAA", "AA A", "AAAA\n", "é", b"AAAA", None])
def test_padding_other_alphabets_and_half_bytes_are_refused(text: object) -> None:
    with pytest.raises(Invalid, match="without padding"):
        decode_bytes(text, "value")


@pytest.mark.parametrize("text", ["AB", "AAB", "AAAAAB"])
def test_stray_bits_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="stray bits"):
        decode_bytes(text, "value")


def test_lengths_are_bounded() -> None:
    assert len(decode_bytes(encode_bytes(bytes(32)), "key", length=32)) == 32
    for count in (31, 33):
        with pytest.raises(Invalid, match="32 bytes"):
            decode_bytes(encode_bytes(bytes(count)), "key", length=32)
    assert len(decode_bytes(encode_bytes(bytes(10)), "value", max_length=10)) == 10
    for count in (11, 12):
        with pytest.raises(Invalid):
            decode_bytes(encode_bytes(bytes(count)), "value", max_length=10)
    assert len(decode_bytes(encode_bytes(bytes(1 << 16)), "value")) == 1 << 16
    with pytest.raises(Invalid):
        decode_bytes(encode_bytes(bytes((1 << 16) + 1)), "value")


@given(st.binary(min_size=30, max_size=34))
def test_a_digest_comes_back_and_nothing_else_is_read_as_one(value: bytes) -> None:
    text = encode_bytes(value)
    if len(value) == 32:
        assert decode_digest(text, "digest") == value
    else:
        with pytest.raises(Invalid):
            decode_digest(text, "digest")


def test_a_digest_has_32_bytes() -> None:
    assert check_digest(encode_bytes(bytes(32)), "digest") == "A" * 43
    with pytest.raises(Invalid) as refused:
        check_digest(encode_bytes(bytes(31)), "leaf.digest")
    assert refused.value.place == "leaf.digest"
