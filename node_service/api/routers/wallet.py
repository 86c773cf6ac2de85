"""What a patient's wallet does: enrol, sign in, grant, dissent, ask who read."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from node_service.access_log.listing import accesses_of
from node_service.api.authentication import Patient, limit_public
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import (
    AccessPage,
    Committed,
    ConsentedStatement,
    EnrolmentFinish,
    EnrolmentOffer,
    EnrolmentStart,
    IncomingRequestEntry,
    Nonce,
    NonceRequest,
    NoticeEntry,
    SignedStatementBody,
    Token,
    WalletSession,
)
from node_service.sharing import consents, enrolment, notices, relaying, requests, wallet_sessions

router = APIRouter(prefix="/wallet", tags=["wallet"], route_class=StrictRoute)
_PUBLIC = [Depends(limit_public)]


@router.post("/enrolments", dependencies=_PUBLIC)
async def start_enrolment(serving: Serving, body: EnrolmentStart) -> EnrolmentOffer:
    """Trade a one-time code for the patient id to which the wallet binds its keys."""
    return await serving.node.in_database(enrolment.offer, serving.node, body, serving.hospital)


@router.post("/enrolments/finish", dependencies=_PUBLIC)
async def finish_enrolment(serving: Serving, body: EnrolmentFinish) -> Committed:
    """Bind the wallet's keys to the patient id, here and on the ledger."""
    return await enrolment.finish(serving.node, body)


@router.post("/nonces", dependencies=_PUBLIC)
async def nonce(serving: Serving, body: NonceRequest) -> Nonce:
    """A nonce that the wallet signs to open a session."""
    return await serving.node.in_crypto(wallet_sessions.issue_nonce, serving.node, body)


@router.post("/sessions", status_code=201, dependencies=_PUBLIC)
async def open_session(serving: Serving, body: WalletSession) -> Token:
    """Trade the signed nonce for a token of five minutes, bound to a key (RFC 9449)."""
    return await serving.node.in_database(wallet_sessions.open_session, serving.node, body)


@router.post("/statements", dependencies=_PUBLIC)
async def relay_statement(serving: Serving, body: SignedStatementBody) -> Committed:
    """Relay a signed revoke, revoke-all or dissent of any hospital's patient."""
    return await relaying.relay(serving.node, body)


@router.post("/grants")
async def receive_grant(serving: Serving, patient: Patient, body: ConsentedStatement) -> Committed:
    """Put a grant on the ledger and keep its Consent."""
    return await consents.receive_grant(serving.node, patient, body)


@router.post("/dissents")
async def receive_dissent(serving: Serving, patient: Patient, body: ConsentedStatement) -> Committed:
    """Put a dissent on the ledger and keep its Consent."""
    return await consents.receive_dissent(serving.node, patient, body)


@router.get("/requests")
async def list_requests(serving: Serving, patient: Patient) -> list[IncomingRequestEntry]:
    """Who asks for access."""
    return await serving.node.in_database(requests.list_requests, serving.node, patient)


@router.get("/accesses")
async def list_accesses(serving: Serving, patient: Patient, after: str | None = None) -> AccessPage:
    """Who read, and what was released, each with its place in the access log."""
    return await serving.node.in_database(accesses_of, serving.node, patient, after)


@router.get("/notices")
async def list_notices(serving: Serving, patient: Patient) -> list[NoticeEntry]:
    """What the patient has to see."""
    return await serving.node.in_database(notices.for_patient, serving.node, patient)
