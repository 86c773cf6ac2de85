"""Generated modules of the Gateway and Deliver services, which come without type information, and how to read them."""

from __future__ import annotations

from typing import Any, TypeVar

from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import events_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2  # type: ignore[import-untyped]

from network.fabric.gateway.errors import MalformedError

_M = TypeVar("_M", bound=Message)

gateway: Any = gateway_pb2
orderer: Any = ab_pb2
events: Any = events_pb2
rpc_status: Any = status_pb2


def parse_into(message: _M, raw: bytes, what: str) -> _M:
    """Parses ``raw`` into the empty ``message`` and returns it.

    Raises:
        MalformedError: the bytes are not that message.
    """
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise MalformedError(f"the bytes are no {what}") from error
    return message
