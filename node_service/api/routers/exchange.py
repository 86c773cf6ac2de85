"""What other hospitals ask."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from domain.errors import Denied
from node_service.api.authentication import Hospital, limit_public
from node_service.api.byte_ranges import parse_range, partial
from node_service.api.problems import NotAuthenticated
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.exchange_wire import (
    ContributionDelivery,
    ExchangeRelease,
    ExchangeSearch,
    ExchangeToken,
    Released,
    RequestDelivery,
)
from node_service.client.wire import (
    RecordPage,
    RecordRef,
    Token,
)
from node_service.sharing import contributions, exchange_tokens, objects, release, requests

router = APIRouter(prefix="/exchange", tags=["exchange"], route_class=StrictRoute)


@router.post("/token", dependencies=[Depends(limit_public)])
async def token(serving: Serving, body: ExchangeToken) -> Token:
    """SMART Backend Services: an assertion by the key in the ledger's registry for a token of five minutes."""
    try:
        return await serving.node.in_database(exchange_tokens.issue_token, serving.node, body)
    except Denied as error:
        raise NotAuthenticated(error.detail, reason=error.reason) from error


@router.post("/requests", status_code=204)
async def deliver_request(serving: Serving, caller: Hospital, body: RequestDelivery) -> Response:
    """Deliver a request that was announced on the ledger, sealed to the patient's wallet."""
    await requests.accept_request(serving.node, caller, body)
    return Response(status_code=204)


@router.post("/search")
async def search(serving: Serving, caller: Hospital, body: ExchangeSearch) -> RecordPage:
    """What may be released under an opening that is committed on the ledger."""
    return await release.search(serving.node, caller, body)


@router.post("/release")
async def release_records(serving: Serving, caller: Hospital, body: ExchangeRelease) -> Released:
    """Sealed records with leaf, path and keys for the one-use key; logged by record before the answer."""
    return await release.release(serving.node, caller, body)


@router.get("/objects/{digest}", response_class=Response, status_code=206)
async def read_object(
    serving: Serving,
    caller: Hospital,
    digest: str,
    access: str,
    byte_range: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """A range of the sealed bytes of a released object; access and record are decided anew each time."""
    asked = parse_range(byte_range)
    request = objects.RangeRequest(access, digest, asked.offset, asked.length)
    return partial(asked, await objects.read_object(serving.node, caller, request))


@router.post("/contributions", status_code=201)
async def accept_contribution(serving: Serving, caller: Hospital, body: ContributionDelivery) -> RecordRef:
    """A record that another hospital sealed and signed for a patient of this one, under a grant that allows it."""
    return await contributions.accept_contribution(serving.node, caller, body)
