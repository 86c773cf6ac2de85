"""The hospital's people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from node_service import own_reading
from node_service.api.authentication import ClinicalOrRecords, Registrar, RegistrarOrRecords
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import EnrolmentCodeIssued, PersonEntry, PersonPage, RecordPage
from node_service.people import MAX_PAGE_PEOPLE
from node_service.sharing.enrolment_codes import issue_code

router = APIRouter(prefix="/api/patients", tags=["patients"], route_class=StrictRoute)


@router.get("")
async def list_people(
    serving: Serving,
    member: RegistrarOrRecords,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_PEOPLE)] = MAX_PAGE_PEOPLE,
) -> PersonPage:
    """A page of the hospital's people."""
    return await serving.node.in_database(own_reading.list_people, serving.node, member, after, limit)


@router.get("/{patient}")
async def person(serving: Serving, member: RegistrarOrRecords, patient: str) -> PersonEntry:
    """One person."""
    return await serving.node.in_database(own_reading.person, serving.node, member, patient)


@router.get("/{patient}/records")
async def list_records(
    serving: Serving, member: ClinicalOrRecords, patient: str, after: str | None = None
) -> RecordPage:
    """A page of a person's records, without their content."""
    return await serving.node.in_database(own_reading.list_records, serving.node, member, patient, after)


@router.post("/{patient}/enrolment-codes", status_code=201)
async def issue_enrolment_code(serving: Serving, member: Registrar, patient: str) -> EnrolmentCodeIssued:
    """A one-time code for a person whose identity was checked."""
    return await serving.node.in_database(issue_code, serving.node, patient, member.id, serving.hospital)
