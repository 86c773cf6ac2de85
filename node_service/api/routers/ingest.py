"""Taking in what other systems of the hospital have: FHIR, DICOM, CDA and PDF as they are."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import APIRouter, Header, Query, Request

from domain.errors import Invalid
from node_service.api.authentication import RecordsOrProgram, RecordsOrQuality
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.api.uploads import take_in
from node_service.client.wire import IngestReport, InstanceReceipt, QualityPage
from node_service.context import Node
from node_service.documents.cda import ingest_cda
from node_service.documents.pdf import MAX_NAME_CHARACTERS, MAX_TITLE_CHARACTERS, PdfFacts, ingest_pdf
from node_service.interactions.written import log_creation
from node_service.records.ingest import Also, ingest_fhir
from node_service.records.instances import receive_instance
from node_service.records.quality import quality_of_run
from node_service.records.series import close_upload
from node_service.staff.principal import StaffPrincipal

router = APIRouter(prefix="/api/ingest", tags=["ingest"], route_class=StrictRoute)
Source = Annotated[str, Query(min_length=1, max_length=128)]
PatientId = Annotated[str | None, Query(max_length=26)]
UploadName = Annotated[str, Query(min_length=1, max_length=64)]
AfterEntry = Annotated[int, Query(ge=0)]
_PERCENT: Final = 12
"""Characters that one character of a text may take in percent-encoded UTF-8."""

_DICOM_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/dicom": {"schema": {"type": "string", "format": "binary"}, "example": "a DICOM Part 10 file"}
        },
    }
}
_CDA_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/xml": {
                "schema": {"type": "string"},
                "example": '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/></ClinicalDocument>',
            }
        },
    }
}
_PDF_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-1.7 …"}},
    }
}
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
    media_type, body = request.headers.get("content-type", ""), await request.body()
    return await node.in_crypto(ingest_fhir, node, body, media_type, source, patient, also=_logged(node, member))


@router.post("/cda", openapi_extra=_CDA_BODY)
async def take_cda(
    serving: Serving, member: RecordsOrProgram, request: Request, source: Source, patient: PatientId = None
) -> IngestReport:
    """A CDA R2 document: kept as it is, with a DocumentReference derived from its header."""
    node = serving.node
    media_type, body = request.headers.get("content-type", ""), await request.body()
    return await node.in_crypto(ingest_cda, node, body, media_type, source, patient, also=_logged(node, member))


@router.post("/pdf", openapi_extra=_PDF_BODY)
async def take_pdf(
    serving: Serving,
    member: RecordsOrProgram,
    request: Request,
    source: Source,
    patient: Annotated[str, Query(max_length=26)],
    content_id: Annotated[str, Header(min_length=1, max_length=_PERCENT * MAX_NAME_CHARACTERS)],
    slug: Annotated[str, Header(max_length=_PERCENT * MAX_TITLE_CHARACTERS)] = "",
    date: Annotated[str, Query(max_length=32)] = "",
    type: Annotated[str, Query(max_length=MAX_TITLE_CHARACTERS)] = "",
) -> IngestReport:
    """A PDF file: kept as it is, with a DocumentReference of what the caller says about it.

    The caller's document id (``Content-ID``) and the title (``Slug``, RFC 5023 section 9.7) may tell of the patient, so
    they travel in headers, percent-encoded UTF-8, and not in the address.
    """
    node = serving.node
    said = PdfFacts(_text(content_id, "Content-ID"), patient, _text(slug, "Slug"), date, type)
    media_type, body = request.headers.get("content-type", ""), await request.body()
    return await node.in_crypto(ingest_pdf, node, body, media_type, source, said, also=_logged(node, member))


def _text(encoded: str, place: str) -> str:
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("percent-encoded UTF-8 is expected", place=place) from None


def _logged(node: Node, member: StaffPrincipal) -> Also:
    return lambda session, written: log_creation(node, session, member, written)


@router.put("/dicom", openapi_extra=_DICOM_BODY)
async def take_dicom(
    serving: Serving,
    _member: RecordsOrProgram,
    request: Request,
    source: Source,
    upload: UploadName,
    patient: PatientId = None,
) -> InstanceReceipt:
    """One DICOM instance of an upload; its series becomes a record when the upload is closed."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/dicom":
        raise Invalid("application/dicom is expected", reason="media-type", place="Content-Type")
    node = serving.node
    return await take_in(
        node, serving.uploads, request, lambda pieces: receive_instance(node, pieces, upload, source, patient)
    )


@router.post("/dicom/close")
async def close_dicom(serving: Serving, member: RecordsOrProgram, upload: UploadName) -> IngestReport:
    """End an upload: every series that it brought instances of becomes a record, or the next version of one."""
    return await serving.node.in_crypto(_close, serving.node, member, upload)


def _close(node: Node, member: StaffPrincipal, upload: str) -> IngestReport:
    report = close_upload(node, upload)
    with node.database.transaction() as session:
        log_creation(node, session, member, report.stored)
    return report


@router.get("/runs/{run}/quality")
async def quality(serving: Serving, _member: RecordsOrQuality, run: str, after: AfterEntry = 0) -> QualityPage:
    """What was accepted in a run although something is wrong with it: codes and places."""
    return await serving.node.in_database(quality_of_run, serving.node, run, after)
