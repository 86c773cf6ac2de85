"""The application of one node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.middleware import Middleware

from node_service.api import problems
from node_service.api.body_limits import BodyLimit, BodyLimits
from node_service.api.condition import Condition
from node_service.api.metrics import Metrics
from node_service.api.openapi import describe
from node_service.api.rate_limits import RateLimit
from node_service.api.request_log import RequestLog
from node_service.api.routers import (
    audit,
    erasure,
    exchange,
    fhir,
    health,
    hospital,
    ingest,
    notices,
    patients,
    receipts,
    records,
    shared,
    staff,
    uploads,
    wallet,
    wallet_records,
)
from node_service.api.services import Rates, Services
from node_service.api.uploads import UPLOADS_AT_ONCE
from node_service.context import Node
from node_service.organization_keys import hospital_card
from node_service.sharing.exchange import Exchange
from node_service.sharing.shared_reading import SharedReading
from node_service.witnessing.receipts import Receipts

ROUTERS: Final = (
    health.router,
    fhir.router,
    hospital.router,
    staff.router,
    audit.router,
    ingest.router,
    uploads.router,
    patients.router,
    records.router,
    wallet.router,
    wallet_records.router,
    receipts.router,
    shared.router,
    notices.router,
    erasure.router,
    exchange.router,
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    node: Node,
    condition: Condition,
    exchange_client: Exchange,
    own_receipts: Receipts,
    *,
    rates: Rates | None = None,
    body_limits: BodyLimits | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The HTTP interface of a node.

    Args:
        condition: where background work notes what it measures.
        exchange_client: how this node asks other hospitals.
        own_receipts: makes the receipts that this node gives.
        lifespan: what runs as long as the application is served.
    """
    metrics, rates = Metrics(), rates or Rates()
    https = node.settings.public_url.startswith("https:")
    app = FastAPI(
        title="Yilian node",
        version="1",
        lifespan=lifespan or _nothing,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(RequestLog, metrics=metrics, https=https),
            Middleware(BodyLimit, limits=body_limits or BodyLimits(node.settings.max_upload_bytes)),
        ],
    )
    app.state.services = Services(
        node=node,
        hospital=hospital_card(node.settings, node.secrets, node.ledger.channel),
        condition=condition,
        exchange=exchange_client,
        shared=SharedReading(node, exchange_client),
        receipts=own_receipts,
        metrics=metrics,
        uploads=CapacityLimiter(UPLOADS_AT_ONCE),
        sign_in_rate=RateLimit(rates.sign_in),
        public_rate=RateLimit(rates.public),
    )
    problems.add_handlers(app)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)  # an included router would match each request twice
    describe(app)
    return app


@asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield
