"""Notices of staff."""

from __future__ import annotations

from fastapi import APIRouter

from node_service.api.authentication import AnyStaff
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import NoticeEntry
from node_service.sharing import notices

router = APIRouter(prefix="/api", tags=["notices"], route_class=StrictRoute)


@router.get("/notices")
async def list_notices(serving: Serving, member: AnyStaff) -> list[NoticeEntry]:
    """The own notices and those of the own roles, newest first."""
    return await serving.node.in_database(notices.for_staff, serving.node, member.id, member.roles)
