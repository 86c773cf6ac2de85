"""Large bodies that go on where they broke off: tus 1.0.0 with creation, expiration and termination."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from domain.errors import Invalid
from node_service.api import tus
from node_service.api.authentication import RecordsOrProgram
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.api.uploads import take_in_streaming
from node_service.resumable.uploads import append, begin, cancel, look


async def _speaks_tus(tus_resumable: Annotated[str | None, Header(max_length=16)] = None) -> None:
    tus.check_version(tus_resumable)


router = APIRouter(prefix=tus.PATH, tags=["ingest"], route_class=StrictRoute)
Spoken = Annotated[None, Depends(_speaks_tus)]
Text = Annotated[str | None, Header(max_length=tus.MAX_METADATA_CHARACTERS)]
Number = Annotated[str | None, Header(max_length=16)]
_PART = {
    "requestBody": {
        "required": True,
        "content": {tus.PART_TYPE: {"schema": {"type": "string", "format": "binary"}, "example": "the next bytes"}},
    }
}


@router.options("", status_code=204, response_class=Response)
async def tell_capabilities(serving: Serving, _member: RecordsOrProgram) -> Response:
    """What is spoken here, and how long an upload may be."""
    capabilities = {"Tus-Extension": tus.EXTENSIONS, "Tus-Max-Size": str(serving.node.settings.max_upload_bytes)}
    return Response(status_code=204, headers=tus.HEADERS | capabilities)


@router.post("", status_code=201, response_class=Response)
async def begin_upload(
    serving: Serving, member: RecordsOrProgram, _tus: Spoken, upload_length: Number = None, upload_metadata: Text = None
) -> Response:
    """Begin an upload; ``Location`` is its address."""
    length, target = tus.number(upload_length, "Upload-Length"), tus.target(upload_metadata)
    begun = await serving.node.in_database(begin, serving.node, member.id, length, target)
    return Response(status_code=201, headers=tus.state_headers(begun) | {"Location": f"{tus.PATH}/{begun.id}"})


@router.head("/{upload}", response_class=Response)
async def look_at_upload(serving: Serving, member: RecordsOrProgram, _tus: Spoken, upload: str) -> Response:
    """Where to go on; the record once it is complete."""
    return Response(headers=tus.state_headers(await serving.node.in_database(look, serving.node, member.id, upload)))


@router.patch("/{upload}", status_code=204, response_class=Response, openapi_extra=_PART)
async def continue_upload(
    serving: Serving,
    member: RecordsOrProgram,
    _tus: Spoken,
    request: Request,
    upload: str,
    upload_offset: Number = None,
) -> Response:
    """The next bytes; what came of them before an interruption is kept, the last ones make the record."""
    if request.headers.get("content-type", "") != tus.PART_TYPE:
        raise Invalid(f"{tus.PART_TYPE} is expected", reason="media-type", place="Content-Type")
    node, offset = serving.node, tus.number(upload_offset, "Upload-Offset")
    try:
        state = await take_in_streaming(
            serving.uploads, request, lambda pieces: append(node, member.id, upload, offset, pieces)
        )
    except ClientDisconnect:
        raise HTTPException(408) from None  # nobody hears it
    return Response(status_code=204, headers=tus.state_headers(state))


@router.delete("/{upload}", status_code=204, response_class=Response)
async def cancel_upload(serving: Serving, member: RecordsOrProgram, _tus: Spoken, upload: str) -> Response:
    """Forget an upload; nothing of it stays."""
    await serving.node.in_database(cancel, serving.node, member.id, upload)
    return Response(status_code=204, headers=tus.HEADERS)
