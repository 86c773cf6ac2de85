"""Records of the own hospital; each read is in the access log before it is answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.exceptions import HTTPException

from node_service import own_reading
from node_service.api.authentication import Clinical
from node_service.api.content_ranges import UNSATISFIABLE, entity_tag, part_of
from node_service.api.services import Serving
from node_service.api.streaming import stream_pieces
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import MemberRef, RecordEntry

router = APIRouter(prefix="/api/records", tags=["records"], route_class=StrictRoute)
MEMBER_MEDIA_TYPE = "application/dicom"


@router.get("/{record}")
async def record_entry(serving: Serving, member: Clinical, record: str) -> RecordEntry:
    """A record without its content."""
    return await serving.node.in_database(own_reading.record_entry, serving.node, member, record)


@router.get("/{record}/content", response_class=Response)
async def record_content(serving: Serving, member: Clinical, record: str) -> Response:
    """The stored bytes."""
    opened = await serving.node.in_crypto(own_reading.read_record, serving.node, member, record)
    return Response(opened.content, media_type=opened.media_type)


@router.get("/{record}/members")
async def record_members(serving: Serving, member: Clinical, record: str) -> list[MemberRef]:
    """The instances of a series."""
    return await serving.node.in_crypto(own_reading.list_members, serving.node, member, record)


@router.get("/{record}/members/{object_id}", response_class=Response)
async def record_member(
    serving: Serving,
    member: Clinical,
    record: str,
    object_id: str,
    range: Annotated[str | None, Header(max_length=64)] = None,
    if_range: Annotated[str | None, Header(max_length=256)] = None,
) -> Response:
    """An instance's bytes, or those of one range; each request is a read in the access log."""
    node = serving.node
    found = await node.in_crypto(own_reading.find_member, node, member, record, object_id)
    part = part_of(found.length, entity_tag(object_id), range, if_range)
    if part.status == UNSATISFIABLE:
        raise HTTPException(UNSATISFIABLE, headers=part.headers)
    pieces = own_reading.member_content(node, found, part.begin, part.end)
    return await stream_pieces(node, pieces, MEMBER_MEDIA_TYPE, status=part.status, headers=part.headers)
