"""Taking in what other systems of the hospital have: FHIR and DICOM as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session

from node_service.api.authentication import RecordsOrProgram
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import IngestReport, RecordRef
from node_service.interactions.written import log_creation
from node_service.records.ingest import ingest_fhir

router = APIRouter(prefix="/api/ingest", tags=["ingest"], route_class=StrictRoute)
Source = Annotated[str, Query(min_length=1, max_length=128)]
PatientId = Annotated[str | None, Query(max_length=26)]
_FHIR_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/fhir+json": {
                "schema": {"type": "object"},
                "example": {"resourceType": "Bundle", "type": "collection", "entry": []},
            },
            "application/fhir+ndjson": {"schema": {"type": "string"}, "example": '{"resourceType":"Basic"}\n'},
        },
    }
}


@router.post("/fhir", openapi_extra=_FHIR_BODY)
async def take_fhir(
    serving: Serving, member: RecordsOrProgram, request: Request, source: Source, patient: PatientId = None
) -> IngestReport:
    """A resource, a Bundle or NDJSON; what was stored, unchanged, skipped, refused."""
    node = serving.node

    def log(session: Session, written: Sequence[RecordRef]) -> None:
        log_creation(node, session, member, written)

    media_type = request.headers.get("content-type", "")
    body = await request.body()
    return await node.in_crypto(ingest_fhir, node, body, media_type, source, patient, also=log)
