"""Cipher suites of sealed objects. A suite fixes every algorithm and the chunk size; nothing is negotiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import Invalid

TAG_BYTES: Final = 16
DATA_KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32
NONCE_PREFIX_BYTES: Final = 7
MAX_CHUNKS: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite: its name in the header and the plaintext bytes of every chunk but the last."""

    name: str
    chunk_bytes: int

    @property
    def sealed_chunk_bytes(self) -> int:
        """Ciphertext bytes of every chunk but the last, tag included."""
        return self.chunk_bytes + TAG_BYTES


A256GCM_1M: Final = Suite("YLN1-A256GCM-HKDF-SHA256-1M", 1 << 20)
"""AES-256-GCM in STREAM with chunks of 1 MiB, HKDF-SHA-256 with key commitment."""

A256GCM_64_TEST: Final = Suite("YLN1-A256GCM-HKDF-SHA256-64-TEST", 64)
"""The same with chunks of 64 bytes, so that tests and vectors can hold every case; refused unless asked for."""

PRODUCTION_SUITES: Final = (A256GCM_1M,)


def suite_named(name: str, allowed: Sequence[Suite]) -> Suite:
    """The suite of that name among the allowed ones.

    Raises:
        Invalid: there is none; an object of a later version, or of the test suite where it has no business.
    """
    for suite in allowed:
        if suite.name == name:
            return suite
    raise Invalid("the sealed object names a suite that is not accepted here", reason="suite", place="header.suite")
