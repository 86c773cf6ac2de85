"""Who this hospital is."""

from __future__ import annotations

from fastapi import APIRouter

from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import HospitalCard

router = APIRouter(tags=["hospital"], route_class=StrictRoute)


@router.get("/hospital")
async def hospital(serving: Serving) -> HospitalCard:
    """The hospital's public card."""
    return serving.hospital
