"""Proof of possession of the key to which a token is bound (RFC 9449, DPoP), with Ed25519 keys only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from domain.errors import Denied
from domain.identifiers import encode_bytes
from node_service.sharing import jose

TYP: Final = "dpop+jwt"
MAX_AGE: Final = timedelta(seconds=60)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified proof: the thumbprint of its key, and the ``jti`` that is accepted once."""

    key_thumbprint: str
    jti: str


def key_thumbprint(public_key: bytes) -> str:
    """SHA-256 JWK thumbprint of an Ed25519 key (RFC 7638)."""
    return encode_bytes(hashlib.sha256(jose.thumbprint_members(encode_bytes(public_key))).digest())


def verify_proof(proof: str, *, token: str, method: str, url: str, now: datetime) -> Proof:
    """Verify a proof for one request (RFC 9449 section 4.3); that its key is the token's is compared by the caller.

    Args:
        proof: the only ``DPoP`` header of the request.
        token: the access token that came with it.
        url: the address under which the node is known, with the request's path; query and fragment do not count.

    Raises:
        Denied: any check fails (``dpop``).
    """
    try:
        fields = jose.header(proof, typ=(TYP,), may_carry=("jwk",))
        public_key = jose.public_jwk(fields.get("jwk"))
        claims = jose.claims(proof, public_key, ("jti", "htm", "htu", "iat", "ath"))
    except Denied as error:
        raise Denied(error.detail, reason="dpop") from None
    if abs(now.timestamp() - claims["iat"]) > MAX_AGE.total_seconds():
        raise Denied("the proof is too old or from the future", reason="dpop")
    if claims["htm"] != method or _normal(claims["htu"]) != _normal(url):
        raise Denied("the proof is for another request", reason="dpop")
    if claims["ath"] != encode_bytes(hashlib.sha256(token.encode()).digest()):
        raise Denied("the proof is for another token", reason="dpop")
    return Proof(key_thumbprint(public_key), claims["jti"])


def _normal(url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path (RFC 3986 section 6.2.2 and 6.2.3, as RFC 9449 section 4.3 asks)."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        raise Denied("the proof names no address", reason="dpop") from None
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path or "/"
