"""A seed in a new vault: fresh, or out of its words."""

from __future__ import annotations

from collections.abc import Callable

from domain.errors import Invalid
from patient_wallet.vault import SEED_BOX, Vault
from patient_wallet.words import Language, seed_of, words_of

Random = Callable[[int], bytes]


def create_wallet(vault: Vault, language: Language, random: Random) -> str:
    """Put a fresh seed into a new vault; return its words, which are shown once and written on paper."""
    words = words_of(random(32), language)
    restore_wallet(vault, words)
    return words


def restore_wallet(vault: Vault, words: str) -> None:
    """Put the seed of the words into a new vault; Invalid where the words are wrong or the vault has a seed."""
    if SEED_BOX in vault.names():
        raise Invalid("this wallet has its words already", reason="wallet-exists")
    seed_of(words)
    vault.put(SEED_BOX, {"words": words})
