"""Records of other hospitals, read through the own node under a patient's grant or in an emergency."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from node_service.api.authentication import Clinician, ClinicianOrRegistrar, PrivacyOfficer
from node_service.api.routers.records import MEMBER_MEDIA_TYPE
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import (
    AccessHandle,
    AccessRequest,
    AdmissionBody,
    Committed,
    ContributionBody,
    EmergencyBody,
    MatchConfirmation,
    MemberRef,
    OpenAccessBody,
    ReceivedGrant,
    RecordPage,
    RecordRef,
    ReviewBody,
    SharedChart,
    SharedRecord,
)
from node_service.own_reading import practitioner_of
from node_service.sharing import accesses, contributions, emergencies, packages, requests, reviews
from node_service.sharing.practitioners import Practitioner

router = APIRouter(prefix="/api/shared", tags=["shared"], route_class=StrictRoute)


async def acting_clinician(member: Clinician) -> Practitioner:
    """The clinician, as other hospitals and the patient are told."""
    return practitioner_of(member)


Acting = Annotated[Practitioner, Depends(acting_clinician)]


@router.post("/requests", status_code=201)
async def request_access(serving: Serving, clinician: Acting, body: AccessRequest) -> Committed:
    """Ask a patient of another hospital for access."""
    return await requests.request_access(serving.node, serving.exchange, clinician, body)


@router.get("/grants")
async def list_grants(serving: Serving, _member: ClinicianOrRegistrar) -> list[ReceivedGrant]:
    """Grants that wallets delivered to this hospital."""
    return await serving.node.in_database(packages.list_received, serving.node)


@router.post("/grants/{patient}/{grant}/confirm")
async def confirm_match(
    serving: Serving, member: ClinicianOrRegistrar, patient: str, grant: str, body: MatchConfirmation
) -> ReceivedGrant:
    """A person says whose records a grant is about."""
    return await serving.node.in_database(packages.confirm_match, serving.node, member.id, patient, grant, body)


@router.post("/accesses", status_code=201)
async def open_access(serving: Serving, clinician: Acting, body: OpenAccessBody) -> AccessHandle:
    """Announce on the ledger that this clinician reads under a grant."""
    return await accesses.open_access(serving.node, clinician, body)


@router.post("/emergencies", status_code=201)
async def open_emergency(serving: Serving, clinician: Acting, body: EmergencyBody) -> AccessHandle:
    """Break the glass, by the patient's emergency card."""
    return await accesses.open_emergency(serving.node, clinician, body)


@router.get("/accesses/{access}/records")
async def list_records(serving: Serving, clinician: Acting, access: str, after: str | None = None) -> RecordPage:
    """What may be read under an open access."""
    return await serving.shared.search(clinician, access, after=after)


@router.get("/accesses/{access}/records/{record}")
async def read_record(serving: Serving, clinician: Acting, access: str, record: str) -> SharedRecord:
    """One record, opened and verified here."""
    return await serving.shared.read(clinician, access, record)


@router.post("/accesses/{access}/chart")
async def read_chart(serving: Serving, clinician: Acting, access: str) -> SharedChart:
    """Everything that may be read, opened and verified here."""
    return await serving.shared.chart(clinician, access)


@router.get("/accesses/{access}/records/{record}/members")
async def list_members(serving: Serving, clinician: Acting, access: str, record: str) -> list[MemberRef]:
    """The instances of a shared series."""
    return await serving.shared.members(clinician, access, record)


@router.get("/accesses/{access}/records/{record}/members/{object_id}", response_class=Response)
async def read_member(serving: Serving, clinician: Acting, access: str, record: str, object_id: str) -> Response:
    """An instance's bytes, verified here."""
    plain = await serving.shared.member(clinician, access, record, object_id)
    return Response(plain.content, media_type=MEMBER_MEDIA_TYPE)


@router.post("/accesses/{access}/contributions", status_code=201)
async def contribute(serving: Serving, clinician: Acting, access: str, body: ContributionBody) -> RecordRef:
    """Give the patient's custodian a record that this hospital sealed and signed."""
    return await contributions.contribute(serving.node, serving.exchange, clinician, access, body)


@router.post("/emergencies/{emergency}/reviews", status_code=201)
async def review_emergency(serving: Serving, member: PrivacyOfficer, emergency: str, body: ReviewBody) -> Committed:
    """The privacy officer's verdict, at the reader's hospital and at the custodian."""
    return await reviews.review(serving.node, member.id, emergency, body)


@router.post("/emergencies/{emergency}/admission", status_code=204)
async def admit_emergency(serving: Serving, member: PrivacyOfficer, emergency: str, body: AdmissionBody) -> Response:
    """The custodian's officer on duty admits or refuses an emergency beyond the limits."""
    await serving.node.in_database(emergencies.decide_held, serving.node, member.id, emergency, approve=body.approve)
    return Response(status_code=204)
