"""Who asks: staff by bearer token, wallets by DPoP, other hospitals by the token of their assertion."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.security.base import SecurityBase

from domain.errors import Denied, Invalid
from node_service.api.body_limits import ACCOUNT
from node_service.api.problems import NotAuthenticated
from node_service.api.services import Serving, services_of
from node_service.sharing.exchange_tokens import authenticate_hospital
from node_service.sharing.wallet_sessions import authenticate_wallet
from node_service.staff import roles, sessions
from node_service.staff.principal import StaffPrincipal


def bearer_token(request: Request) -> str:
    """The bearer token (RFC 6750 section 2.1: the header, never the query).

    Raises:
        NotAuthenticated: there is none.
    """
    return _token(request, "bearer")


class Staff(SecurityBase):
    """Lets signed-in staff pass, with one of the roles where some are named.

    It is the scheme of the OpenAPI document, too: each dependency of its own costs a request as much as a statement of
    the database.
    """

    def __init__(self, allowed: Collection[str] | None = None) -> None:
        self.model = HTTPBearer(description="POST /api/staff/sessions")
        self.scheme_name = "staff"
        self._allowed = None if allowed is None else frozenset(allowed)

    async def __call__(self, request: Request) -> StaffPrincipal:
        """The signed-in member of staff.

        Raises:
            NotAuthenticated: no live session.
            Denied: none of the roles.
        """
        node = services_of(request).node
        try:
            member = await node.in_database(sessions.authenticate, node, bearer_token(request))
        except Denied as error:
            raise NotAuthenticated(error.detail, reason=error.reason) from error
        setattr(request.state, ACCOUNT, member.id)
        if self._allowed is not None:
            member.require(self._allowed)
        return member


class WalletPatient(SecurityBase):
    """Lets wallets pass."""

    def __init__(self) -> None:
        self.model = APIKey(
            **{"in": APIKeyIn.header}, name="Authorization", description="DPoP token of POST /wallet/sessions"
        )
        self.scheme_name = "wallet"

    async def __call__(self, request: Request) -> str:
        """The patient whose wallet asks, by token and proof of its key (RFC 9449 section 7).

        Raises:
            NotAuthenticated: no live token, or not exactly one proof that fits this request.
        """
        token = _token(request, "dpop")
        proofs = request.headers.getlist("dpop")
        if len(proofs) != 1:
            raise NotAuthenticated("exactly one DPoP proof is expected", reason="dpop")
        node = services_of(request).node
        url = node.settings.public_url.rstrip("/") + request.scope["path"]
        try:
            return await node.in_database(authenticate_wallet, node, token, proofs[0], request.method, url)
        except (Denied, Invalid) as error:
            raise NotAuthenticated(error.detail, reason=error.reason) from error


class AskingHospital(SecurityBase):
    """Lets other hospitals pass."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="POST /exchange/token")
        self.scheme_name = "hospital"

    async def __call__(self, request: Request) -> str:
        """The MSP id of the hospital that asks.

        Raises:
            NotAuthenticated: no live token, or its hospital is no active member.
        """
        node = services_of(request).node
        try:
            return await node.in_database(authenticate_hospital, node, bearer_token(request))
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


AnyStaff = Annotated[StaffPrincipal, Depends(Staff())]
Clinical = Annotated[StaffPrincipal, Depends(Staff(roles.CLINICAL))]
Clinician = Annotated[StaffPrincipal, Depends(Staff({"clinician"}))]
ClinicalOrRecords = Annotated[StaffPrincipal, Depends(Staff(roles.CLINICAL | {"medical-records"}))]
AuditAdministrator = Annotated[StaffPrincipal, Depends(Staff({"audit-administrator"}))]
Registrar = Annotated[StaffPrincipal, Depends(Staff({"registrar"}))]
RegistrarOrRecords = Annotated[StaffPrincipal, Depends(Staff({"registrar", "medical-records"}))]
ClinicianOrRegistrar = Annotated[StaffPrincipal, Depends(Staff({"clinician", "registrar"}))]
RecordsOrProgram = Annotated[StaffPrincipal, Depends(Staff({"medical-records", "system"}))]
RecordsOrQuality = Annotated[StaffPrincipal, Depends(Staff({"medical-records", "system", "quality"}))]
Writer = Annotated[StaffPrincipal, Depends(Staff(roles.CLINICAL | {"system"}))]
PrivacyOrRecords = Annotated[StaffPrincipal, Depends(Staff({"privacy-officer", "medical-records"}))]
PrivacyOfficer = Annotated[StaffPrincipal, Depends(Staff({"privacy-officer"}))]
Auditor = Annotated[StaffPrincipal, Depends(Staff({"audit-administrator", "privacy-officer"}))]
SystemAdministrator = Annotated[StaffPrincipal, Depends(Staff({"system-administrator"}))]
Patient = Annotated[str, Depends(WalletPatient())]
Hospital = Annotated[str, Depends(AskingHospital())]
