"""Whether the node lives, is ready, and how it fares; for the management network. Nothing here waits for anything."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from node_service.api.metrics import MEDIA_TYPE
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/ready", responses={503: {"description": "not ready, with the obstacles"}})
async def ready(serving: Serving) -> JSONResponse:
    """The node can do its work: database, ledger and store answer, its projection is not behind, no alarm stands."""
    obstacles = serving.condition.obstacles(serving.node.clock.now())
    return JSONResponse({"ready": not obstacles, "obstacles": obstacles}, 503 if obstacles else 200)


@router.get("/metrics", response_class=Response)
async def metrics(serving: Serving) -> Response:
    """Prometheus' text format."""
    return Response(serving.metrics.text(serving.condition.status), media_type=MEDIA_TYPE)
