"""Erasure, retraction, locks: the patient's statements, the officers' decisions, other hospitals' notices."""

from __future__ import annotations

from fastapi import APIRouter

from node_service.api.authentication import Hospital, Patient, PrivacyOrRecords
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.erasure_wire import (
    ErasureCase,
    ErasureCasePage,
    ErasureOrder,
    ErasureRequest,
    LockBody,
    Retraction,
    RetractionBody,
)
from node_service.client.exchange_wire import NoticeDelivery, NoticeReceipt
from node_service.client.wire import Committed
from node_service.erasure import cases, certificates, deciding, locking, received, retracting

router = APIRouter(tags=["erasure"], route_class=StrictRoute)


@router.post("/wallet/erasures", status_code=201)
async def request_erasure(serving: Serving, patient: Patient, body: ErasureRequest) -> Committed:
    """Take the patient's erasure statement with the record ids behind its digest, and anchor it."""
    return await cases.request_erasure(serving.node, patient, body)


@router.get("/wallet/erasures")
async def list_own_cases(serving: Serving, patient: Patient) -> list[ErasureCase]:
    """The patient's cases, record by record, with their certificates."""
    return await serving.node.in_database(certificates.cases_of_patient, serving.node, patient)


@router.get("/api/erasures")
async def list_cases(serving: Serving, _member: PrivacyOrRecords, after: str | None = None) -> ErasureCasePage:
    """A page of all cases."""
    return await serving.node.in_database(certificates.list_cases, serving.node, after)


@router.post("/api/erasures", status_code=201)
async def order_erasure(serving: Serving, member: PrivacyOrRecords, body: ErasureOrder) -> ErasureCase:
    """Erase records of one patient now, as far as the retention rules allow; the others are locked until they do."""
    case = await serving.node.in_crypto(deciding.order_erasure, serving.node, member.id, body)
    return await serving.node.in_database(certificates.case_of, serving.node, case)


@router.get("/api/erasures/{case}")
async def one_case(serving: Serving, _member: PrivacyOrRecords, case: str) -> ErasureCase:
    """One case."""
    return await serving.node.in_database(certificates.case_of, serving.node, case)


@router.post("/api/erasures/{case}/decision")
async def decide(serving: Serving, member: PrivacyOrRecords, case: str) -> ErasureCase:
    """Apply the retention rules to a case: each record is erased, or locked until a rule ends."""
    await serving.node.in_crypto(deciding.decide_case, serving.node, member.id, case)
    return await serving.node.in_database(certificates.case_of, serving.node, case)


@router.post("/api/records/{record}/retraction", status_code=201)
async def retract(serving: Serving, member: PrivacyOrRecords, record: str, body: RetractionBody) -> Retraction:
    """Retract a record with its source and siblings, and file their content anew under the right person."""
    return await serving.node.in_crypto(retracting.retract, serving.node, member.id, record, body)


@router.post("/api/records/{record}/lock")
async def lock(serving: Serving, member: PrivacyOrRecords, record: str, body: LockBody) -> Committed:
    """Keep a record from release and erasure until a time."""
    return await locking.lock(serving.node, member.id, record, body)


@router.post("/exchange/notices")
async def accept_notices(serving: Serving, caller: Hospital, body: NoticeDelivery) -> NoticeReceipt:
    """What became of records of the caller that it had released to this hospital."""
    return await received.accept_notices(serving.node, caller, body)
