from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from offchain.envelope.content import Description, encode_preamble, padme
from offchain.envelope.rechunk import rechunk
from offchain.envelope.suite import A256GCM_64_TEST


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
