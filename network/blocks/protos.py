"""The one place that names Fabric's generated protobuf modules, which come without type information."""

from __future__ import annotations

from typing import Any, TypeVar

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_configuration_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    collection_pb2,
    policy_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2, lifecycle_pb2
from google.protobuf.message import DecodeError, Message

from domain.errors import Invalid

_M = TypeVar("_M", bound=Message)

chaincode: Any = chaincode_pb2
chaincode_definition: Any = chaincode_definition_pb2
chaincode_event: Any = chaincode_event_pb2
collection: Any = collection_pb2
common: Any = common_pb2
configtx: Any = configtx_pb2
configuration: Any = configuration_pb2
etcdraft: Any = etcdraft_pb2
identities: Any = identities_pb2
kvrwset: Any = kv_rwset_pb2
lifecycle: Any = lifecycle_pb2
lifecycle_db: Any = db_pb2
msp_config: Any = msp_config_pb2
msp_principal: Any = msp_principal_pb2
orderer_configuration: Any = orderer_configuration_pb2
peer_policy: Any = policy_pb2
policies: Any = policies_pb2
proposal: Any = proposal_pb2
proposal_response: Any = proposal_response_pb2
rwset: Any = rwset_pb2
transaction: Any = transaction_pb2


def parse_into(message: _M, raw: bytes, what: str) -> _M:
    """Parses ``raw`` into the empty ``message`` and returns it.

    Raises:
        Invalid: the bytes are not that message; the reason is ``bad-protobuf``.
    """
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise Invalid(f"bytes are not a {what}", reason="bad-protobuf", place=what) from error
    return message


def serialize(message: Message) -> bytes:
    """The deterministic encoding: map entries sorted by key, fields by number, as Fabric signs and hashes them."""
    return message.SerializeToString(deterministic=True)


def parse_exactly(message: _M, raw: bytes, what: str) -> _M:
    """As ``parse_into``, and nothing may hide beside the known fields: the bytes are the message's only encoding.

    Raises:
        Invalid: unknown fields, or another encoding of the same content; the reason is ``not-canonical``.
    """
    parse_into(message, raw, what)
    message.DiscardUnknownFields()  # type: ignore[attr-defined]
    if serialize(message) != raw:
        raise Invalid(f"{what} is not in canonical encoding", reason="not-canonical", place=what)
    return message
