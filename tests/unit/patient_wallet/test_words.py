"""Words and seeds: BIP-39 in both languages."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest

from domain.errors import Invalid
from patient_wallet.words import ENTROPY_BYTES, LANGUAGES, Language, seed_of, words_of

# BIP-39 reference vector (trezor/python-mnemonic vectors.json, 256 bits of 0x7f) with an empty passphrase.
VECTOR_WORDS = (
    "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful "
    "legal winner thank year wave sausage worth title"
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_lead_back_to_one_seed(language: Language) -> None:
    words = words_of(bytes(range(ENTROPY_BYTES)), language)
    assert len(words.split()) == 24
    assert seed_of(words).secret == seed_of("  " + words.upper() + " ").secret


def test_words_of_the_reference_vector() -> None:
    assert words_of(b"\x7f" * 32, "english") == VECTOR_WORDS


def test_chinese_words_may_be_written_without_spaces() -> None:
    words = words_of(b"\x05" * ENTROPY_BYTES, "chinese_simplified")
    assert seed_of(words.replace(" ", "")).secret == seed_of(words).secret


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("legal winner thank", "3 words were given"),
        (VECTOR_WORDS.replace("title", "titel"), "1 of the words are in no word list"),
        (VECTOR_WORDS.replace("title", "legal"), "do not belong together"),
        ("", "0 words were given"),
    ],
)
def test_wrong_words_are_explained_without_naming_them(words: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refusal:
        seed_of(words)
    assert "titel" not in str(refusal.value)


@pytest.mark.parametrize(
    ("entropy", "words"),
    [
        (b"\x00", ["abandon"] * 23 + ["art"]),
        (b"\xff", ["zoo"] * 23 + ["vote"]),
        (b"\x80", ["letter advice cage absurd amount doctor acoustic avoid"] * 2
         + ["letter advice cage absurd amount doctor acoustic bless"]),
    ],
    ids=["zeros", "ones", "80"],
)  # fmt: skip
def test_words_of_the_published_vectors(entropy: bytes, words: list[str]) -> None:
    assert words_of(entropy * ENTROPY_BYTES, "english") == " ".join(words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_seed_is_pbkdf2_of_the_words_as_bip_39_writes_it(language: Language) -> None:
    words = words_of(bytes(range(ENTROPY_BYTES)), language)
    normal = unicodedata.normalize("NFKD", words).encode()
    assert seed_of(words).secret == hashlib.pbkdf2_hmac("sha512", normal, b"mnemonic", 2048)


def test_the_seed_of_the_first_published_words_is_the_published_one() -> None:
    published = (
        "408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70"
        "5489c6fc77dbd4e3dc1dd8cc6bc9f043db8ada1e243c4a0eafb290d399480840"
    )
    assert seed_of(" ".join(["abandon"] * 23 + ["art"])).secret.hex() == published
