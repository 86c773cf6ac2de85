"""X25519 public keys: those that lead to the all-zero result are refused before anything is sealed to them.

Source: RFC 7748 sections 5 and 6.1. To a point of small order every private key agrees on the same, public secret, and
libraries refuse the agreement: one such key among many would stop a job that wraps for all of them.
"""

from __future__ import annotations

from typing import Final

from domain.errors import Invalid

PUBLIC_KEY_BYTES: Final = 32
_PRIME: Final = 2**255 - 19
_ORDER_8: Final = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
_SMALL_ORDER: Final = frozenset({0, 1, _PRIME - 1, *_ORDER_8})


def check_public_key(public_key: bytes, place: str) -> bytes:
    """Return the key if it is no point of small order, in whatever encoding (the top bit does not count).

    Raises:
        Invalid: another length, or such a point.
    """
    u = int.from_bytes(public_key, "little") & (2**255 - 1)
    if len(public_key) != PUBLIC_KEY_BYTES or u % _PRIME in _SMALL_ORDER:
        raise Invalid("the wrapping key is a point of small order", reason="weak-key", place=place)
    return public_key
