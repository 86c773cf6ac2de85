"""What other hospitals ask."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from domain.errors import Denied
from node_service.api.authentication import Hospital, limit_public
from node_service.api.problems import NotAuthenticated
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import ExchangeToken, RequestDelivery, Token
from node_service.sharing import exchange_tokens, requests

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
