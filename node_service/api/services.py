"""What routes work with, made once per application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from anyio import CapacityLimiter
from fastapi import Depends, Request

from node_service.api.condition import Condition
from node_service.api.metrics import Metrics
from node_service.api.rate_limits import Rate, RateLimit
from node_service.client.wire import HospitalCard
from node_service.context import Node
from node_service.sharing.exchange import Exchange
from node_service.sharing.shared_reading import SharedReading
from node_service.witnessing.receipts import Receipts

SIGN_IN_RATE: Final = Rate(burst=30, per_s=2)
PUBLIC_RATE: Final = Rate(burst=200, per_s=20)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one address may use routes without credentials.

    Attributes:
        sign_in: attempts to sign in, each of which costs a password hash.
        public: everything else that needs no credentials.
    """

    sign_in: Rate = SIGN_IN_RATE
    public: Rate = PUBLIC_RATE


@dataclass(frozen=True, slots=True)
class Services:
    """A node, its condition, and the application's own counters."""

    node: Node
    hospital: HospitalCard
    condition: Condition
    exchange: Exchange
    shared: SharedReading
    receipts: Receipts
    metrics: Metrics
    uploads: CapacityLimiter
    sign_in_rate: RateLimit
    public_rate: RateLimit


def services_of(request: Request) -> Services:
    """The application's services."""
    found = request.app.state.services
    assert isinstance(found, Services)  # noqa: S101 - create_app put it there
    return found


async def services(request: Request) -> Services:
    """The same, for routes; asynchronous, because FastAPI would run it in a thread of its own."""
    return services_of(request)


Serving = Annotated[Services, Depends(services)]
