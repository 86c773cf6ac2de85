"""The clear header of a sealed object: magic ‖ length ‖ JCS JSON. It tells nothing about a patient."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain import jcs
from domain.errors import Invalid
from domain.identifiers import check_identifier, check_msp_id, decode_bytes, encode_bytes
from offchain.envelope.suite import A256GCM_1M, COMMITMENT_BYTES, PRODUCTION_SUITES, SALT_BYTES, Suite, suite_named

MAGIC: Final = b"YLN1"
LENGTH_BYTES: Final = 4
MAX_HEADER_JSON_BYTES: Final = 4096
_FIELDS = {"objectId", "origin", "salt", "suite"}


@dataclass(frozen=True, slots=True)
class Header:
    """Suite, object id, organisation that sealed the object, and the salt of the key derivation."""

    object_id: str
    origin: str
    salt: bytes
    suite: Suite = A256GCM_1M

    def __post_init__(self) -> None:
        check_identifier(self.object_id, "header.objectId")
        check_msp_id(self.origin, "header.origin")
        if len(self.salt) != SALT_BYTES:
            raise Invalid(f"{SALT_BYTES} bytes are expected", place="header.salt")

    @classmethod
    def fresh(cls, object_id: str, origin: str, suite: Suite = A256GCM_1M) -> Header:
        """A header with a new random salt."""
        return cls(object_id, origin, secrets.token_bytes(SALT_BYTES), suite)

    def encode(self) -> bytes:
        """Magic ‖ length of the JSON, 4 bytes big-endian ‖ JCS JSON."""
        fields = {
            "objectId": self.object_id,
            "origin": self.origin,
            "salt": encode_bytes(self.salt),
            "suite": self.suite.name,
        }
        encoded = jcs.canonical(fields)
        return MAGIC + len(encoded).to_bytes(LENGTH_BYTES, "big") + encoded

    @classmethod
    def parse(cls, encoded: bytes, allowed: Sequence[Suite] = PRODUCTION_SUITES) -> Header:
        """Read a header; it must be exactly one, in its canonical bytes.

        Fields that a later writer added are refused, because they would change what version 1 means.

        Raises:
            Invalid: magic, length, JSON, a field, or a suite that is not allowed.
        """
        if header_bytes(encoded) != len(encoded):
            raise Invalid("the header is not as long as it says", reason="header")
        fields = jcs.parse_object(encoded[len(MAGIC) + LENGTH_BYTES :], max_bytes=MAX_HEADER_JSON_BYTES)
        if set(fields) != _FIELDS or not isinstance(fields["suite"], str):
            raise Invalid("the header has other fields than version 1", reason="header", place="header")
        return cls(
            object_id=check_identifier(fields["objectId"], "header.objectId"),
            origin=check_msp_id(fields["origin"], "header.origin"),
            salt=decode_bytes(fields["salt"], "header.salt", length=SALT_BYTES),
            suite=suite_named(fields["suite"], allowed),
        )


def header_bytes(start: bytes) -> int:
    """How many bytes the header has, from the first eight bytes of an object.

    Raises:
        Invalid: not a sealed object of version 1, or a header beyond the limit.
    """
    if len(start) < len(MAGIC) + LENGTH_BYTES or start[: len(MAGIC)] != MAGIC:
        raise Invalid("this is not a sealed object of version 1", reason="header", place="header")
    length = int.from_bytes(start[len(MAGIC) : len(MAGIC) + LENGTH_BYTES], "big")
    if not 0 < length <= MAX_HEADER_JSON_BYTES:
        raise Invalid(f"the header is longer than {MAX_HEADER_JSON_BYTES} bytes", reason="header", place="header")
    return len(MAGIC) + LENGTH_BYTES + length


def head_bytes(start: bytes) -> int:
    """How many bytes lie before the first chunk: header and key commitment.

    Raises:
        Invalid: as :func:`header_bytes`.
    """
    return header_bytes(start) + COMMITMENT_BYTES
