"""Opaque bearer tokens of wallets and hospitals; only their hashes are kept (RFC 6750, RFC 9449)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete
from sqlalchemy.orm import Session

from domain.errors import Denied
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.ports import RandomSource
from node_service.database.account_models import AccessToken
from node_service.lifetimes import is_live

LIFETIME: Final = timedelta(minutes=5)
MAX_TOKEN_CHARACTERS: Final = 128
_TOKEN_BYTES: Final = 32
Kind = Literal["wallet", "exchange"]


def issue(
    session: Session,
    random: RandomSource,
    now: datetime,
    *,
    kind: Kind,
    subject: str,
    key_thumbprint: str | None = None,
) -> str:
    """A fresh token of 256 bits for ``subject``, valid for five minutes; expired ones are removed on the way."""
    token = encode_bytes(random(_TOKEN_BYTES))
    session.execute(delete(AccessToken).where(AccessToken.expires_at <= instant(now), AccessToken.kind == kind))
    session.add(
        AccessToken(
            token_hash=token_hash(token),
            kind=kind,
            subject=subject,
            key_thumbprint=key_thumbprint,
            expires_at=instant(now + LIFETIME),
        )
    )
    return token


def holder(session: Session, now: datetime, kind: Kind, token: str) -> AccessToken:
    """The row of a live token.

    Raises:
        Denied: unknown, of another kind, or expired (``no-session``).
    """
    row = session.get(AccessToken, token_hash(token)) if len(token) <= MAX_TOKEN_CHARACTERS else None
    if row is None or row.kind != kind or not is_live(row.expires_at, now, LIFETIME):
        raise Denied("there is no such session", reason="no-session")
    return row


def token_hash(token: str) -> bytes:
    """SHA-256 of the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
