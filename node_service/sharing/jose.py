"""Signed JSON web tokens as far as they are accepted here: EdDSA over Ed25519 and nothing else (RFC 7515, RFC 8037)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain import ed25519
from domain.errors import Denied, Invalid
from domain.identifiers import decode_bytes

ALG: Final = "EdDSA"
MAX_TOKEN_CHARACTERS: Final = 8192
MAX_CLAIM_CHARACTERS: Final = 512
_REGISTERED_CLAIMS: Final = ("exp", "iat", "nbf", "aud", "iss", "sub", "jti")
_JUDGED_BY_CALLER: Final = dict.fromkeys((f"verify_{name}" for name in _REGISTERED_CLAIMS), False)
_KEY_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64"})


def header(token: str, *, typ: Collection[str], may_carry: Collection[str] = ()) -> Mapping[str, Any]:
    """The protected header, before anything is verified.

    Args:
        typ: the accepted values of ``typ``, in lower case; empty text stands for none.
        may_carry: header fields that bring or point to a key and are accepted nevertheless.

    Raises:
        Denied: no token, another algorithm, or a header that chooses its own key (``assertion``).
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Denied("the token is too long", reason="assertion")
    try:
        fields = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Denied("this is no signed token", reason="assertion") from None
    if fields.get("alg") != ALG or str(fields.get("typ", "")).lower() not in typ:
        raise Denied("the token is of another type or algorithm", reason="assertion")
    if fields.keys() & (_KEY_HEADERS - frozenset(may_carry)):
        raise Denied("the token's header brings or points to a key", reason="assertion")
    return fields


def claims(token: str, public_key: bytes, required: Collection[str]) -> Mapping[str, Any]:
    """The claims of a token that was signed with the key; times and audience are judged by the caller's own clock.

    Raises:
        Denied: weak key, wrong signature, or a required claim is missing or of the wrong form (``assertion``).
    """
    if not ed25519.is_strict_public_key(public_key):
        raise Denied("the key is not a point of the prime-order subgroup", reason="assertion")
    key = Ed25519PublicKey.from_public_bytes(public_key)
    options: Any = {**_JUDGED_BY_CALLER, "require": list(required)}
    try:
        fields: Mapping[str, Any] = jwt.decode(token, key, algorithms=[ALG], options=options)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Denied("the token is not signed with this key", reason="assertion") from None
    for name in required:
        _check_claim(name, fields.get(name))
    return fields


def unverified(token: str) -> Mapping[str, Any]:
    """The claims before anything is verified: good for nothing but to look up the key.

    Raises:
        Denied: no token (``assertion``).
    """
    try:
        fields: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Denied("this is no signed token", reason="assertion") from None
    return fields


def public_jwk(value: object) -> bytes:
    """The Ed25519 key of a JWK (RFC 8037 section 2).

    Raises:
        Denied: another kind of key, or one that brings its private part.
    """
    if not isinstance(value, dict) or (value.get("kty"), value.get("crv")) != ("OKP", "Ed25519") or "d" in value:
        raise Denied("a public Ed25519 JWK is expected", reason="assertion")
    try:
        return decode_bytes(value.get("x"), "jwk.x", length=32)
    except Invalid:
        raise Denied("a public Ed25519 JWK is expected", reason="assertion") from None


def thumbprint_members(x: str) -> bytes:
    """The required members in lexical order (RFC 7638 section 3, RFC 8037 section 2)."""
    return json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":")).encode()


def _check_claim(name: str, value: object) -> None:
    if name in ("exp", "iat"):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 40:
            raise Denied("a time of the token is not a number of seconds", reason="assertion")
    elif not isinstance(value, str) or not 0 < len(value) <= MAX_CLAIM_CHARACTERS or not value.isprintable():
        raise Denied("a claim of the token is not a short text", reason="assertion")
