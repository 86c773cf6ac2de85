"""Who asks: staff by bearer token, wallets by DPoP, other hospitals by the token of their assertion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from domain.errors import Denied, Invalid
from node_service.api.body_limits import ACCOUNT
from node_service.api.problems import NotAuthenticated
from node_service.api.services import Serving
from node_service.sharing.exchange_tokens import authenticate_hospital
from node_service.sharing.wallet_sessions import authenticate_wallet
from node_service.staff import roles, sessions
from node_service.staff.principal import StaffPrincipal

_STAFF_SCHEME: Final = HTTPBearer(scheme_name="staff", auto_error=False, description="POST /api/staff/sessions")
_HOSPITAL_SCHEME: Final = HTTPBearer(scheme_name="hospital", auto_error=False, description="POST /exchange/token")
_WALLET_SCHEME: Final = APIKeyHeader(
    name="Authorization", scheme_name="wallet", auto_error=False, description="DPoP token of POST /wallet/sessions"
)
ROLES_ATTRIBUTE: Final = "allowed_roles"


def bearer_token(request: Request) -> str:
    """The bearer token (RFC 6750 section 2.1: the header, never the query).

    Raises:
        NotAuthenticated: there is none.
    """
    return _token(request, "bearer")


async def staff_member(request: Request, serving: Serving, _scheme: _StaffScheme) -> StaffPrincipal:
    """The signed-in member of staff.

    Raises:
        NotAuthenticated: no live session.
    """
    try:
        member = await serving.node.in_database(sessions.authenticate, serving.node, bearer_token(request))
    except Denied as error:
        raise NotAuthenticated(error.detail, reason=error.reason) from error
    setattr(request.state, ACCOUNT, member.id)
    return member


def staff_with(allowed: Collection[str]) -> Callable[..., Awaitable[StaffPrincipal]]:
    """A dependency that lets staff with one of the roles pass; the roles show in :data:`ROLES_ATTRIBUTE`."""

    async def member(principal: Annotated[StaffPrincipal, Depends(staff_member)]) -> StaffPrincipal:
        principal.require(allowed)
        return principal

    setattr(member, ROLES_ATTRIBUTE, frozenset(allowed))
    return member


async def wallet_patient(request: Request, serving: Serving, _scheme: _WalletScheme) -> str:
    """The patient whose wallet asks, by token and proof of its key (RFC 9449 section 7).

    Raises:
        NotAuthenticated: no live token, or not exactly one proof that fits this request.
    """
    token = _token(request, "dpop")
    proofs = request.headers.getlist("dpop")
    if len(proofs) != 1:
        raise NotAuthenticated("exactly one DPoP proof is expected", reason="dpop")
    url, node = serving.node.settings.public_url.rstrip("/") + request.scope["path"], serving.node
    try:
        return await node.in_database(authenticate_wallet, node, token, proofs[0], request.method, url)
    except (Denied, Invalid) as error:
        raise NotAuthenticated(error.detail, reason=error.reason) from error


async def asking_hospital(request: Request, serving: Serving, _scheme: _HospitalScheme) -> str:
    """The MSP id of the hospital that asks.

    Raises:
        NotAuthenticated: no live token, or its hospital is no active member.
    """
    try:
        return await serving.node.in_database(authenticate_hospital, serving.node, bearer_token(request))
    except Denied as error:
        raise NotAuthenticated(error.detail, reason=error.reason) from error


async def limit_sign_in(request: Request, serving: Serving) -> None:
    """Slow down who tries passwords."""
    serving.sign_in_rate.take(_address(request))


async def limit_public(request: Request, serving: Serving) -> None:
    """Slow down who uses routes without credentials."""
    serving.public_rate.take(_address(request))


def _token(request: Request, scheme: str) -> str:
    given = request.headers.getlist("authorization")
    name, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if name.lower() != scheme or not token:
        raise NotAuthenticated("sign in first")
    return token


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


_StaffScheme = Annotated[object, Security(_STAFF_SCHEME)]
_WalletScheme = Annotated[object, Security(_WALLET_SCHEME)]
_HospitalScheme = Annotated[object, Security(_HOSPITAL_SCHEME)]

AnyStaff = Annotated[StaffPrincipal, Depends(staff_member)]
Clinical = Annotated[StaffPrincipal, Depends(staff_with(roles.CLINICAL))]
Clinician = Annotated[StaffPrincipal, Depends(staff_with({"clinician"}))]
ClinicalOrRecords = Annotated[StaffPrincipal, Depends(staff_with(roles.CLINICAL | {"medical-records"}))]
AuditAdministrator = Annotated[StaffPrincipal, Depends(staff_with({"audit-administrator"}))]
Registrar = Annotated[StaffPrincipal, Depends(staff_with({"registrar"}))]
RegistrarOrRecords = Annotated[StaffPrincipal, Depends(staff_with({"registrar", "medical-records"}))]
ClinicianOrRegistrar = Annotated[StaffPrincipal, Depends(staff_with({"clinician", "registrar"}))]
RecordsOrProgram = Annotated[StaffPrincipal, Depends(staff_with({"medical-records", "system"}))]
RecordsOrQuality = Annotated[StaffPrincipal, Depends(staff_with({"medical-records", "system", "quality"}))]
Writer = Annotated[StaffPrincipal, Depends(staff_with(roles.CLINICAL | {"system"}))]
PrivacyOrRecords = Annotated[StaffPrincipal, Depends(staff_with({"privacy-officer", "medical-records"}))]
PrivacyOfficer = Annotated[StaffPrincipal, Depends(staff_with({"privacy-officer"}))]
Auditor = Annotated[StaffPrincipal, Depends(staff_with({"audit-administrator", "privacy-officer"}))]
SystemAdministrator = Annotated[StaffPrincipal, Depends(staff_with({"system-administrator"}))]
Patient = Annotated[str, Depends(wallet_patient)]
Hospital = Annotated[str, Depends(asking_hospital)]
