"""The patient's own records, grants and packages, for the wallet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from node_service.api.authentication import Patient, limit_public
from node_service.api.byte_ranges import parse_range, partial
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import GrantPage, Preview, PreviewRequest, RecordPage, SealedMessage, SealedRecord
from node_service.sharing import grants, packages, wallet_records

router = APIRouter(prefix="/wallet", tags=["wallet"], route_class=StrictRoute)


@router.get("/records")
async def list_records(serving: Serving, patient: Patient, after: str | None = None) -> RecordPage:
    """A page of the patient's records."""
    return await serving.node.in_database(wallet_records.list_records, serving.node, patient, after)


@router.get("/records/{record}/sealed")
async def sealed_record(serving: Serving, patient: Patient, record: str) -> SealedRecord:
    """A sealed record with leaf, path and the patient's own wrap."""
    return await serving.node.in_crypto(wallet_records.sealed_record, serving.node, patient, record)


@router.get("/objects/{digest}", response_class=Response, status_code=206)
async def sealed_object(
    serving: Serving, patient: Patient, digest: str, byte_range: Annotated[str | None, Header(alias="range")] = None
) -> Response:
    """A range of a sealed object."""
    asked = parse_range(byte_range)
    content = await serving.node.in_crypto(
        wallet_records.own_object, serving.node, patient, digest, asked.offset, asked.length
    )
    return partial(asked, content)


@router.post("/preview")
async def preview(serving: Serving, patient: Patient, body: PreviewRequest) -> Preview:
    """What a reader would see today under such a grant, and how much is withheld."""
    return await serving.node.in_crypto(grants.preview, serving.node, patient, body)


@router.get("/grants")
async def list_grants(serving: Serving, patient: Patient) -> GrantPage:
    """Grants and dissents as the ledger has them."""
    return await serving.node.in_database(grants.list_grants, serving.node, patient)


@router.post("/packages", status_code=204, dependencies=[Depends(limit_public)])
async def receive_package(serving: Serving, body: SealedMessage) -> Response:
    """A grant package that a wallet sealed to this hospital."""
    await packages.receive_package(serving.node, body)
    return Response(status_code=204)
