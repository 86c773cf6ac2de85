"""Signing in, accounts, the node's status."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from domain.errors import Denied
from node_service.api.authentication import AnyStaff, SystemAdministrator, bearer_token, limit_sign_in
from node_service.api.problems import NotAuthenticated
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import NodeStatus, StaffAccount, StaffLogin, StaffMember, Token
from node_service.node_status import node_status
from node_service.staff import accounts, sessions

router = APIRouter(prefix="/api", tags=["staff"], route_class=StrictRoute)


@router.post("/staff/sessions", status_code=201, dependencies=[Depends(limit_sign_in)])
async def sign_in(serving: Serving, login: StaffLogin) -> Token:
    """Open a session of 15 minutes that lives on while it is used."""
    try:
        return await serving.node.in_crypto(sessions.sign_in, serving.node, login)
    except Denied as error:
        raise NotAuthenticated(error.detail, reason=error.reason) from error


@router.delete("/staff/sessions/current", status_code=204)
async def sign_out(request: Request, serving: Serving, _member: AnyStaff) -> Response:
    """End the session."""
    await serving.node.in_database(sessions.sign_out, serving.node, bearer_token(request))
    return Response(status_code=204)


@router.get("/staff")
async def members(serving: Serving, _administrator: SystemAdministrator) -> list[StaffMember]:
    """All accounts."""
    return await serving.node.in_database(accounts.list_members, serving.node)


@router.post("/staff", status_code=201)
async def open_account(serving: Serving, _administrator: SystemAdministrator, account: StaffAccount) -> StaffMember:
    """Open an account."""
    return await serving.node.in_crypto(accounts.create_account, serving.node, account)


@router.get("/status")
async def status(serving: Serving, _member: AnyStaff) -> NodeStatus:
    """How far ledger, projection, outbox and logs are."""
    return await serving.node.in_database(node_status, serving.node)
