from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid, Tampered
from offchain.envelope.content import (
    LENGTH_UNKNOWN,
    Description,
    Preamble,
    content_length,
    encode_preamble,
    padme,
)
from offchain.envelope.rechunk import rechunk
from offchain.envelope.suite import A256GCM_1M, A256GCM_64_TEST


@given(length=st.integers(0, 1 << 40))
def test_padme_adds_at_most_twelve_percent_and_is_stable(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded


@pytest.mark.parametrize(("length", "padded"), [(0, 0), (1, 1), (9, 10), (100, 104), (1000, 1024), (1025, 1088)])
def test_padme_gives_the_lengths_of_the_paper(length: int, padded: int) -> None:
    assert padme(length) == padded


@given(pieces=st.lists(st.binary(max_size=50)), size=st.integers(1, 40))
def test_chunks_are_of_one_size_and_only_the_last_is_marked(pieces: list[bytes], size: int) -> None:
    chunks = [(bytes(chunk), last) for chunk, last in rechunk(pieces, size)]
    assert b"".join(chunk for chunk, _ in chunks) == b"".join(pieces)
    assert [last for _, last in chunks] == [False] * (len(chunks) - 1) + [True] * bool(chunks)
    assert all(len(chunk) == size for chunk, last in chunks if not last)


@pytest.mark.parametrize(
    ("content_type", "file_name"),
    [("", None), ("a" * 256, None), ("text/plain\n", None), ("a/b", ""), ("a/b", "x" * 256)],
)
def test_descriptions_are_bounded(content_type: str, file_name: str | None) -> None:
    with pytest.raises(Invalid):
        Description(content_type, file_name)


def test_a_file_name_that_is_not_nfc_is_refused_not_repaired() -> None:
    with pytest.raises(Invalid):
        Description("a/b", "e\u0301.txt")
    assert Description("a/b", "\u00e9.txt").file_name == "\u00e9.txt"


def test_a_description_that_does_not_fit_the_first_chunk_is_refused() -> None:
    with pytest.raises(Invalid):
        encode_preamble(Description("text/plain", "n" * 40), 1, A256GCM_64_TEST)


@pytest.mark.parametrize("characters", [1, 255])
def test_descriptions_may_be_as_long_as_their_bound(characters: int) -> None:
    description = Description("a" * characters, "名" * characters)
    assert Description.parse(description.encode()) == description


@pytest.mark.parametrize(
    ("content_type", "file_name", "place"),
    [("a" * 256, None, "contentType"), ("", None, "contentType"), ("a", "b" * 256, "fileName"), ("a", "", "fileName")],
)
def test_a_description_beyond_its_bounds_names_the_field(content_type: str, file_name: str | None, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        Description(content_type, file_name)
    assert refused.value.place == place


def test_an_encoded_description_is_bounded_before_it_is_read() -> None:
    with pytest.raises(Invalid) as refused:
        Description.parse(b" " * 4097)
    assert refused.value.reason == "too-large"


def _preamble(length: int) -> Preamble:
    return Preamble.parse(encode_preamble(Description("text/plain"), length, A256GCM_1M))


@pytest.mark.parametrize("change", ["short", "long", "unpadded", "filled"])
def test_padding_that_is_not_as_it_must_be_is_tampering(change: str) -> None:
    preamble = _preamble(1000)
    end = preamble.size + 1000
    padded = bytearray(padme(end))
    assert content_length(preamble, len(padded), memoryview(padded), single=True) == 1000
    if change == "short":
        padded = padded[: end - 1]
    elif change == "long":
        padded = bytearray(2 * len(padded))
    elif change == "unpadded":
        padded = padded[:end]
        assert len(padded) != padme(end)
    else:
        padded[-1] = 1
    with pytest.raises(Tampered) as found:
        content_length(preamble, len(padded), memoryview(padded), single=True)
    assert found.value.reason == "preamble"


@pytest.mark.parametrize(("sealed_length", "fits"), [(5000, True), (LENGTH_UNKNOWN, True), (4999, False), (0, False)])
def test_the_length_of_a_content_of_many_chunks_is_the_sealed_one_or_unknown(sealed_length: int, fits: bool) -> None:
    preamble = _preamble(sealed_length)
    plaintext_bytes = preamble.size + 5000
    if fits:
        assert content_length(preamble, plaintext_bytes, memoryview(b""), single=False) == 5000
        return
    with pytest.raises(Tampered) as found:
        content_length(preamble, plaintext_bytes, memoryview(b""), single=False)
    assert found.value.reason == "preamble"


@pytest.mark.parametrize(
    "preamble",
    [
        b"",
        bytes(12),
        bytes(8) + (30).to_bytes(4, "big") + b"{}",
        bytes(8) + (4097).to_bytes(4, "big") + b" " * 5000,
        bytes(8) + (2).to_bytes(4, "big") + b"{}",
        bytes(8) + (5).to_bytes(4, "big") + b"\xff\xff\xff\xff\xff",
    ],
)
def test_a_preamble_that_cannot_be_read_is_tampering(preamble: bytes) -> None:
    with pytest.raises(Tampered) as found:
        Preamble.parse(preamble)
    assert found.value.reason == "preamble"
