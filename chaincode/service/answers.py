"""Answers that are not the contract's: refusals in the contract's own form, and failures that say nothing of why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.service.message import Kind, Message
from chaincode.stub import ChaincodeEvent, Response
from domain import jcs
from domain.errors import Denied, Invalid, Unavailable, YilianError
from network.blocks import protos
from network.blocks.protos import serialize

_STATUS: Final[Mapping[type[YilianError], int]] = MappingProxyType({Invalid: 400, Denied: 403, Unavailable: 503})


def refusal(error: YilianError) -> Response:
    """An error of ours as the contract itself answers errors: a status, and JCS {detail, place, reason} as message."""
    return _response(_STATUS[type(error)], error.detail, error.reason, error.place)


def failure(reason: str) -> Response:
    """Status 500: something broke. What and why is in nobody's answer."""
    return _response(500, "the contract's service failed; the operator's log names the transaction", reason, "")


def completed(request: Message, response: Response, event: ChaincodeEvent | None = None) -> Message:
    """The message that ends a transaction."""
    encoded = protos.proposal_response.Response(
        status=response.status, message=response.message, payload=response.payload
    )
    return Message(Kind.COMPLETED, request.channel, request.tx_id, serialize(encoded), event=event)


def _response(status: int, detail: str, reason: str, place: str) -> Response:
    return Response(status, jcs.canonical({"detail": detail, "place": place, "reason": reason}).decode())
