"""The wallet's words (BIP-39, English or 简体中文) and the seed behind them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from mnemonic import Mnemonic

from domain.errors import Invalid

Language = Literal["english", "chinese_simplified"]
LANGUAGES: Final[tuple[Language, ...]] = ("english", "chinese_simplified")
ENTROPY_BYTES: Final = 32
WORD_COUNTS: Final = (12, 15, 18, 21, 24)


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """The 64-byte BIP-39 seed; never printed or pickled."""

    secret: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a seed is not pickled or copied")


def words_of(entropy: bytes, language: Language) -> str:
    """The 24 words of 32 random bytes.

    Raises:
        Invalid: not 32 bytes.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise Invalid(f"{ENTROPY_BYTES} random bytes are expected")
    return Mnemonic(language).to_mnemonic(entropy)


def seed_of(words: str) -> Seed:
    """The seed of the words (BIP-39: PBKDF2-HMAC-SHA-512, 2048 rounds, over NFKD, no passphrase).

    Chinese words may be given with or without spaces between them.

    Raises:
        Invalid: a word is not in the list, their number is wrong, or the checksum does not fit; no word is named.
    """
    spelled = unicodedata.normalize("NFKD", words).strip().lower()
    for language in LANGUAGES:
        normal = _spaced(spelled, language)
        if Mnemonic(language).check(normal):
            return Seed(bytes(Mnemonic.to_seed(normal)))
    raise Invalid(_fault(spelled), reason="words")


def _spaced(words: str, language: Language) -> str:
    parts = words.split()
    if language == "chinese_simplified" and len(parts) == 1:
        parts = list(words)
    return " ".join(parts)


def _fault(words: str) -> str:
    count = max(len(words.split()), len(words) if len(words.split()) == 1 else 0)
    if count not in WORD_COUNTS:
        return f"{count} words were given; a wallet has 12, 15, 18, 21 or 24"
    lists = {language: set(Mnemonic(language).wordlist) for language in LANGUAGES}
    known = max(sum(part in words_list for part in words.split()) for words_list in lists.values())
    if known < len(words.split()):
        return f"{len(words.split()) - known} of the words are in no word list; check the spelling"
    return "the words do not belong together: one is wrong or two are swapped"
