"""Tables of accounts, of their sessions, and of what is accepted once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from node_service.database.models import Base, Code, Identifier, InstantText


class Staff(Base):
    """An account of a person who works here; ``id`` is the pseudonym that other hospitals and the ledger see."""

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    username: Mapped[str] = mapped_column(String(128), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))  # Argon2id
    roles: Mapped[list[Any]] = mapped_column(JSON)
    display_name: Mapped[bytes] = mapped_column(LargeBinary)  # sealed
    department: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[str | None] = mapped_column(InstantText)
    created_at: Mapped[str] = mapped_column(InstantText)


class AccessToken(Base):
    """A bearer token handed out to staff, a wallet or another hospital; only its hash is kept."""

    __tablename__ = "access_token"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # staff, wallet, exchange
    subject: Mapped[str] = mapped_column(String(64))  # staff id, patient id, MSP id
    key_thumbprint: Mapped[str | None] = mapped_column(String(64))  # DPoP binding (RFC 9449)
    expires_at: Mapped[str] = mapped_column(InstantText, index=True)


class UsedNonce(Base):
    """A ``jti`` of an assertion or proof, or a nonce handed out, kept until it cannot be replayed any more."""

    __tablename__ = "used_nonce"

    scope: Mapped[str] = mapped_column(String(96), primary_key=True)
    value: Mapped[str] = mapped_column(String(128), primary_key=True)
    state: Mapped[str] = mapped_column(Code)  # issued, used
    expires_at: Mapped[str] = mapped_column(InstantText, index=True)


class IdempotencyKey(Base):
    """The answer to an API write that carried an Idempotency-Key, per principal."""

    __tablename__ = "idempotency_key"

    principal: Mapped[str] = mapped_column(String(96), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)  # base64url of a blind token
    request_token: Mapped[bytes] = mapped_column(LargeBinary(32))  # blind token of method, path and body
    status: Mapped[int] = mapped_column(Integer)
    record: Mapped[str | None] = mapped_column(Identifier)
    version: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(InstantText)
