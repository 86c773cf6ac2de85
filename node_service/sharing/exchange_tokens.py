"""Tokens of other hospitals (SMART Backend Services); keys come from the ledger's registry, never from the caller."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from domain.errors import Denied
from domain.identifiers import decode_bytes
from domain.instants import instant
from node_service.client.exchange_wire import ExchangeToken
from node_service.client.wire import (
    Token,
)
from node_service.context import Node
from node_service.ledger_sync.registry import active_organization, valid_keys
from node_service.sharing import assertions, tokens
from node_service.sharing.nonces import use_once


def issue_token(node: Node, request: ExchangeToken) -> Token:
    """A token of five minutes for the hospital that signed the assertion.

    Raises:
        Denied: unknown or inactive organisation, unknown or ended key, or any check of the assertion fails.
    """
    now = node.clock.now()
    claimed = assertions.read_claimed(request.client_assertion)
    with node.database.transaction() as session:
        public_key = _signing_key(session, claimed, now)
        jti = assertions.verify_assertion(request.client_assertion, public_key, claimed, own_msp=node.msp_id, now=now)
        use_once(session, f"assertion:{claimed.msp_id}", jti, now, assertions.MAX_LIFETIME)
        token = tokens.issue(session, node.random, now, kind="exchange", subject=claimed.msp_id)
    return Token(
        access_token=token,
        token_type="Bearer",  # noqa: S106 - the type's name
        expires_in=int(tokens.LIFETIME.total_seconds()),
        subject=claimed.msp_id,
    )


def authenticate_hospital(node: Node, token: str) -> str:
    """The MSP id of the hospital behind a token; it must still be an active member.

    Raises:
        Denied: no live token, or the organisation is not active any more.
    """
    with node.database.reading() as session:
        row = tokens.holder(session, node.clock.now(), "exchange", token)
        if active_organization(session, row.subject) is None:
            raise Denied("the organisation is not an active member", reason="no-session")
        return row.subject


def _signing_key(session: Session, claimed: assertions.Claimed, now: datetime) -> bytes:
    member = active_organization(session, claimed.msp_id)
    for key in valid_keys(member, "signing", instant(now)) if member else []:
        if key.kid == claimed.kid:
            return decode_bytes(key.key, "key", length=32)
    raise Denied("no published key of an active member fits the assertion", reason="assertion")
