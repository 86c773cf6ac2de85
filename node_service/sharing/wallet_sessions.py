"""Sessions of wallets: a signed nonce becomes a token of five minutes that is bound to a key (DPoP)."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import statements
from domain.errors import Denied, Invalid, Tampered
from domain.identifiers import check_identifier, decode_bytes, encode_bytes
from domain.instants import instant
from node_service.client.wire import Nonce, NonceRequest, Token, WalletSession
from node_service.context import Node
from node_service.database.models import PatientKey, Person
from node_service.sharing import dpop, tokens
from node_service.sharing.nonces import use_once

NONCE_LIFETIME: Final = timedelta(minutes=5)
MAX_STATEMENT_LIFETIME: Final = timedelta(minutes=5)
_EXPIRY_BYTES: Final = 8
_RANDOM_BYTES: Final = 8
_TAG_BYTES: Final = 16


def issue_nonce(node: Node, request: NonceRequest) -> Nonce:
    """A nonce for a patient's wallet. It carries its own expiry and tag, so asking for many fills no table.

    Whether the patient exists does not show.

    Raises:
        Invalid: no patient id.
    """
    check_identifier(request.patient, "patient")
    expiry = int((node.clock.now() + NONCE_LIFETIME).timestamp())
    body = expiry.to_bytes(_EXPIRY_BYTES, "big") + node.random(_RANDOM_BYTES)
    return Nonce(
        nonce=encode_bytes(body + _tag(node, request.patient, body)), expires_in=int(NONCE_LIFETIME.total_seconds())
    )


def open_session(node: Node, request: WalletSession) -> Token:
    """Exchange a signed nonce for a token bound to the DPoP key whose thumbprint is given.

    Raises:
        Invalid: no statement ``session``.
        Denied: any check fails; unknown patients look the same.
    """
    statement = statements.parse(request.statement)
    thumbprint = encode_bytes(decode_bytes(request.key_thumbprint, "key_thumbprint", length=32))
    with node.database.transaction() as session:
        _verify_session(node, session, request, statement)
        token = tokens.issue(
            session,
            node.random,
            node.clock.now(),
            kind="wallet",
            subject=statement.envelope.patient,
            key_thumbprint=thumbprint,
        )
    return Token(
        access_token=token,
        token_type="DPoP",  # noqa: S106 - the type's name
        expires_in=int(tokens.LIFETIME.total_seconds()),
        subject=statement.envelope.patient,
    )


def authenticate_wallet(node: Node, token: str, proof: str, method: str, url: str) -> str:
    """The patient behind a token with the proof of its key.

    Args:
        url: public address of the node with the request's path.

    Raises:
        Denied: no session (``no-session``), no proof (``dpop``) or a replayed one (``replayed``).
    """
    now = node.clock.now()
    verified = dpop.verify_proof(proof, token=token, method=method, url=url, now=now)
    with node.database.transaction() as session:
        row = tokens.holder(session, now, "wallet", token)
        if row.key_thumbprint is None or not hmac.compare_digest(row.key_thumbprint, verified.key_thumbprint):
            raise Denied("the proof is by another key than the token's", reason="dpop")
        use_once(session, f"dpop:{verified.key_thumbprint}", verified.jti, now, 2 * dpop.MAX_AGE)
        return row.subject


def current_key(session: Session, patient: str) -> PatientKey | None:
    """The newest key that this hospital itself verified for an enrolled patient."""
    query = (
        select(PatientKey)
        .join(Person, Person.id == PatientKey.patient)
        .where(PatientKey.patient == patient, Person.status == "enrolled")
        .order_by(PatientKey.key_epoch.desc())
    )
    return session.scalars(query.limit(1)).first()


def _verify_session(node: Node, session: Session, request: WalletSession, statement: statements.Statement) -> None:
    envelope, body, now = statement.envelope, statement.body, node.clock.now()
    if not isinstance(body, statements.Session):
        raise Invalid("a statement of type session is expected", place="statement.type")
    key = current_key(session, envelope.patient)
    if key is None or key.key_epoch != envelope.key_epoch:
        raise Denied("the session is not accepted", reason="session")
    try:
        statements.verify(request.statement, request.signature, key.signing)
    except Tampered:
        raise Denied("the session is not accepted", reason="session") from None
    addressed = (envelope.custodian, body.audience, envelope.channel) == (node.msp_id, node.msp_id, node.ledger.channel)
    fresh = instant(now) <= envelope.anchor_by <= instant(now + MAX_STATEMENT_LIFETIME)
    if not addressed or not fresh or not _is_ours(node, envelope.patient, body.nonce):
        raise Denied("the session is not accepted", reason="session")
    use_once(session, f"session:{envelope.patient}", body.nonce, now, NONCE_LIFETIME)


def _is_ours(node: Node, patient: str, nonce: str) -> bool:
    raw = decode_bytes(nonce, "nonce", length=_EXPIRY_BYTES + _RANDOM_BYTES + _TAG_BYTES)
    body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
    live = int.from_bytes(body[:_EXPIRY_BYTES], "big") > node.clock.now().timestamp()
    return hmac.compare_digest(tag, _tag(node, patient, body)) and live


def _tag(node: Node, patient: str, body: bytes) -> bytes:
    return node.secrets.blind("wallet-nonce", patient, encode_bytes(body))[:_TAG_BYTES]
