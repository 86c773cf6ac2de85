"""The FHIR R4 interface of the own hospital: bodies go in and out as they are stored."""

from __future__ import annotations

from email.utils import format_datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from domain.errors import Invalid
from domain.instants import moment
from node_service import own_reading
from node_service.api.authentication import Clinical, Writer
from node_service.api.operation_outcome import FHIR_JSON
from node_service.api.problems import NotAcceptable
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.interactions.bundles import process_bundle
from node_service.interactions.capability import capability_statement
from node_service.interactions.history import history_bundle
from node_service.interactions.writing import check_key, create, update
from node_service.interactions.written import Written
from node_service.records.reading import OpenedRecord

router = APIRouter(prefix="/fhir", tags=["fhir"], route_class=StrictRoute)
STATE = "Yilian-State"
STORED = "stored"
_JSON_TYPES = ("application/fhir+json", "application/json")
_ACCEPTED = (*_JSON_TYPES, "*/*", "application/*")
_EXAMPLE = {"resourceType": "Observation", "status": "final", "code": {"text": "Heart rate"}}
_BODY = {"requestBody": {"required": True, "content": {FHIR_JSON: {"schema": {"type": "object"}, "example": _EXAMPLE}}}}
_BUNDLE = {
    "requestBody": {
        "required": True,
        "content": {
            FHIR_JSON: {
                "schema": {"type": "object"},
                "example": {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [{"resource": _EXAMPLE, "request": {"method": "POST", "url": "Observation"}}],
                },
            }
        },
    }
}


@router.get("/metadata", response_class=Response)
async def metadata(serving: Serving, accept: Annotated[str | None, Header()] = None) -> Response:
    """The CapabilityStatement."""
    _check_accept(accept)
    return Response(capability_statement(_base(serving), serving.hospital.name), media_type=FHIR_JSON)


@router.post("", response_class=Response, openapi_extra=_BUNDLE)
async def transaction(serving: Serving, member: Writer, request: Request) -> Response:
    """A transaction or batch of creations."""
    body = await _fhir_body(request)
    answer = await serving.node.in_crypto(process_bundle, serving.node, member, body)
    return Response(answer, 200, {STATE: STORED}, FHIR_JSON)


@router.post("/{resource_type}", response_class=Response, status_code=201, openapi_extra=_BODY)
async def create_resource(
    serving: Serving,
    member: Writer,
    request: Request,
    resource_type: str,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """``create``: the server gives the id."""
    key = check_key(idempotency_key)
    body = await _fhir_body(request)
    written = await serving.node.in_crypto(create, serving.node, member, resource_type, body, key)
    return _written(serving, written, 201)


@router.put("/{resource_type}/{record}", response_class=Response, openapi_extra=_BODY)
async def update_resource(
    serving: Serving,
    member: Writer,
    request: Request,
    resource_type: str,
    record: str,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """``update`` of the version that ``If-Match`` names."""
    body = await _fhir_body(request)
    written = await serving.node.in_crypto(update, serving.node, member, resource_type, record, body, if_match)
    return _written(serving, written, 200)


@router.get("/{resource_type}/{record}", response_class=Response)
async def read_resource(
    serving: Serving, member: Clinical, request: Request, resource_type: str, record: str
) -> Response:
    """``read``: the stored bytes."""
    _check_accept(request.headers.get("accept"))
    opened = await serving.node.in_crypto(
        own_reading.read_record, serving.node, member, record, resource_type=resource_type
    )
    return _read(opened)


@router.get("/{resource_type}/{record}/_history", response_class=Response)
async def resource_history(
    serving: Serving, member: Clinical, request: Request, resource_type: str, record: str
) -> Response:
    """``history-instance``: every stored version."""
    _check_accept(request.headers.get("accept"))
    versions = await serving.node.in_crypto(own_reading.record_history, serving.node, member, record, resource_type)
    return Response(history_bundle(_base(serving), versions), media_type=FHIR_JSON)


@router.get("/{resource_type}/{record}/_history/{version}", response_class=Response)
async def read_version(
    serving: Serving, member: Clinical, request: Request, resource_type: str, record: str, version: str
) -> Response:
    """``vread``: the stored bytes of one version."""
    _check_accept(request.headers.get("accept"))
    opened = await serving.node.in_crypto(
        own_reading.read_record,
        serving.node,
        member,
        record,
        version=_version(version),
        resource_type=resource_type,
    )
    return _read(opened)


def _read(opened: OpenedRecord) -> Response:
    headers = {
        "ETag": f'W/"{opened.version}"',
        "Last-Modified": format_datetime(moment(opened.stored_at), usegmt=True),
    }
    return Response(opened.content, 200, headers, opened.media_type)


def _written(serving: Serving, written: Written, status: int) -> Response:
    location = f"{_base(serving)}/{written.resource_type}/{written.record}/_history/{written.version}"
    return Response(None, status, {"Location": location, "ETag": f'W/"{written.version}"', STATE: STORED})


async def _fhir_body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES:
        raise Invalid("application/fhir+json is expected", reason="media-type", place="Content-Type")
    _check_accept(request.headers.get("accept"))
    return await request.body()


def _check_accept(accept: str | None) -> None:
    """FHIR R4 http.html section 3.1.0.1.11: JSON is the only format here."""
    wanted = [part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    if not any(one in _ACCEPTED or one == "json" for one in wanted):
        raise NotAcceptable("only application/fhir+json is spoken here")


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or text.startswith("0"):
        raise Invalid("a version is a number", place="vid")
    return int(text)


def _base(serving: Serving) -> str:
    return serving.hospital.url.rstrip("/") + "/fhir"
