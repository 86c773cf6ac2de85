"""The client assertion between hospitals (RFC 7523; SMART App Launch 2.2, "Backend Services")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.errors import Denied, Invalid
from domain.identifiers import check_code, check_msp_id
from node_service.sharing import jose

MAX_LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Who an assertion says it is from and which published key it says it is signed with; nothing verified yet."""

    msp_id: str
    kid: str


def audience(msp_id: str) -> str:
    """What an assertion for a hospital names: never taken from fetched metadata."""
    return f"urn:yilian:org:{msp_id}"


def read_claimed(assertion: str) -> Claimed:
    """Who the assertion says it is from, to look up the key.

    Raises:
        Denied: no assertion of the accepted form (``assertion``).
    """
    fields = jose.header(assertion, typ=("jwt", ""))
    try:
        return Claimed(check_msp_id(jose.unverified(assertion).get("iss"), "iss"), check_code(fields.get("kid"), "kid"))
    except Invalid:
        raise Denied("the assertion names no organisation or key", reason="assertion") from None


def verify_assertion(assertion: str, public_key: bytes, claimed: Claimed, *, own_msp: str, now: datetime) -> str:
    """Verify an assertion with the organisation's published key; return its ``jti``, which is accepted once.

    Raises:
        Denied: signature, issuer, subject, audience or times are not right (``assertion``).
    """
    claims = jose.claims(assertion, public_key, ("iss", "sub", "aud", "exp", "jti"))
    if claims["iss"] != claimed.msp_id or claims["sub"] != claimed.msp_id:
        raise Denied("issuer and subject are the organisation itself", reason="assertion")
    if claims["aud"] != audience(own_msp):
        raise Denied("the assertion is for another audience", reason="assertion")
    remaining = claims["exp"] - now.timestamp()
    if not 0 < remaining <= MAX_LIFETIME.total_seconds():
        raise Denied("the assertion has expired, or is valid for longer than five minutes", reason="assertion")
    jti: str = claims["jti"]
    return jti
