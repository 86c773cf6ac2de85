"""Proofs of who asks: DPoP proofs (RFC 9449) and client assertions (RFC 7523), made with a signer's callable.

Only Ed25519 (JWS ``EdDSA``, RFC 8037); the private key stays behind the callable.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Final

from domain.identifiers import encode_bytes

Sign = Callable[[bytes], bytes]
ASSERTION_LIFETIME_S: Final = 240
_JTI_BYTES: Final = 16


def key_thumbprint(public_key: bytes) -> str:
    """SHA-256 JWK thumbprint of an Ed25519 key (RFC 7638, RFC 8037 appendix A.3)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": encode_bytes(public_key)}
    return encode_bytes(hashlib.sha256(_json(members)).digest())


def dpop_proof(public_key: bytes, sign: Sign, *, token: str, method: str, url: str, now_s: float) -> str:
    """A proof for one request (RFC 9449 section 4.2); ``url`` without query."""
    header = {
        "typ": "dpop+jwt",
        "alg": "EdDSA",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(public_key)},
    }
    claims = {
        "jti": _jti(),
        "htm": method,
        "htu": url,
        "iat": int(now_s),
        "ath": encode_bytes(hashlib.sha256(token.encode()).digest()),
    }
    return _jws(header, claims, sign)


def client_assertion(issuer: str, kid: str, sign: Sign, *, audience: str, now_s: float) -> str:
    """An assertion of this hospital for another one (SMART Backend Services)."""
    header = {"typ": "JWT", "alg": "EdDSA", "kid": kid}
    issued = int(now_s)
    claims = {
        "iss": issuer,
        "sub": issuer,
        "aud": f"urn:yilian:org:{audience}",
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME_S,
        "jti": _jti(),
    }
    return _jws(header, claims, sign)


def _jws(header: Mapping[str, object], claims: Mapping[str, object], sign: Sign) -> str:
    signed = f"{encode_bytes(_json(header))}.{encode_bytes(_json(claims))}"
    return f"{signed}.{encode_bytes(sign(signed.encode()))}"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _jti() -> str:
    return encode_bytes(os.urandom(_JTI_BYTES))
