"""Identifiers and the text forms of binary values in everything that is signed, hashed or put on the ledger.

- Record, object, patient, grant, access, request, statement, practitioner pseudonym: 128 random bits as 26 characters
  of lower-case base32 (RFC 4648 section 6 without padding), so that every id is also a valid FHIR id and needs no
  escaping in a URL.
- Digests, keys, signatures, salts: base64url without padding (RFC 4648 section 5), one spelling only.
- Organisations: their Fabric MSP id.
"""

from __future__ import annotations

import base64
import binascii
import re

from domain.errors import Invalid

IDENTIFIER_BYTES = 16
DIGEST_BYTES = 32

_IDENTIFIER = re.compile(r"[a-z2-7]{25}[aeimquy4]")
_MSP_ID = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,63}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_LAST_CHARACTERS = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
"""The last character of a text whose length is two or three beyond a multiple of four: its unused bits are zero."""


def identifier(random_bytes: bytes) -> str:
    """The text of 16 random bytes as an identifier.

    Raises:
        ValueError: not 16 bytes.
    """
    if len(random_bytes) != IDENTIFIER_BYTES:
        raise ValueError("an identifier is made of 16 random bytes")
    return base64.b32encode(random_bytes).decode().rstrip("=").lower()


def check_identifier(text: object, place: str) -> str:
    """Return the text if it is an identifier.

    Raises:
        Invalid: it is not 26 characters of lower-case base32 in the one spelling.
    """
    if not isinstance(text, str) or not _IDENTIFIER.fullmatch(text):
        raise Invalid("an identifier of 26 characters (base32, lower case) is expected", place=place)
    return text


def check_msp_id(text: object, place: str) -> str:
    """Return the text if it can be the MSP id of an organisation.

    Raises:
        Invalid: otherwise.
    """
    if not isinstance(text, str) or not _MSP_ID.fullmatch(text):
        raise Invalid("the MSP id of an organisation is expected", place=place)
    return text


def check_code(text: object, place: str) -> str:
    """Return the text if it is a code: up to 64 letters, digits, dot, hyphen, underscore.

    Raises:
        Invalid: otherwise.
    """
    if not isinstance(text, str) or not _CODE.fullmatch(text):
        raise Invalid("a code of at most 64 letters, digits, '.', '-', '_' is expected", place=place)
    return text


def encode_bytes(value: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def decode_bytes(text: object, place: str, *, length: int | None = None, max_length: int = 1 << 16) -> bytes:
    """Read base64url without padding, in its one spelling.

    Raises:
        Invalid: another spelling, longer than ``max_length`` bytes, or not of ``length`` bytes where that is given.
    """
    if not isinstance(text, str) or len(text) > (max_length * 4 + 2) // 3 or not _BASE64URL.fullmatch(text):
        raise Invalid("base64url without padding is expected", place=place)
    beyond = len(text) % 4
    if beyond == 1:
        raise Invalid("base64url without padding is expected", place=place)
    if beyond and text[-1] not in _LAST_CHARACTERS[beyond]:
        raise Invalid("base64url has stray bits at its end", place=place)
    value = _decoded(text, -beyond % 4)
    if length is not None and len(value) != length:
        raise Invalid(f"{length} bytes are expected", place=place)
    return value


def _decoded(text: str, missing: int) -> bytes:
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * missing)


def check_digest(text: object, place: str) -> str:
    """Return the text if it is a SHA-256 digest in base64url.

    Raises:
        Invalid: otherwise.
    """
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        decode_bytes(text, place, length=DIGEST_BYTES)  # says what is wrong
        raise Invalid(f"{DIGEST_BYTES} bytes are expected", place=place)
    return text


def decode_digest(text: object, place: str) -> bytes:
    """Read a SHA-256 digest in base64url.

    Raises:
        Invalid: it is none.
    """
    return _decoded(check_digest(text, place), 1)
