"""Queries: the state as it is, typed values as JSON beside the attributes of their keys (ledger.md, "Queries")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from chaincode.contract.v1.call import Call
from chaincode.contract.v1.grants import floor
from chaincode.stub import create_composite_key, split_composite_key
from domain import jcs, queries
from domain.errors import NotFound
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.jcs import JsonObject, JsonValue

MAX_HISTORY_ITEMS: Final = 1000
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "org": ("msp",),
        "patient": ("patient",),
        "log": ("msp", "incarnation"),
        "attestation": ("custodian", "record", "msp"),
        "grant": ("patient", "id"),
        "dissent": ("patient", "id"),
        "request": ("id",),
        "access": ("id",),
        "emergency": ("id",),
        "review": ("emergency", "msp"),
        "statement": ("kind", "id"),
    }
)


def answer(call: Call, query: queries.Query) -> JsonValue:
    """Answer a query.

    Raises:
        NotFound: there is no such entry.
    """
    return _ANSWERS[type(query)](call, query)


def _organization(call: Call, query: queries.QueryOrganization) -> JsonValue:
    return _found(call, "org", query.msp)


def _organizations(call: Call, _: queries.QueryOrganizations) -> JsonValue:
    return _all(call, "org")


def _patient(call: Call, query: queries.QueryPatient) -> JsonValue:
    return {**_found(call, "patient", query.patient), "floor": floor(call, query.patient)}


def _grants(call: Call, query: queries.QueryGrants) -> JsonValue:
    return _page(call, "grant", (query.patient,), query.after, query.limit)


def _dissents(call: Call, query: queries.QueryDissents) -> JsonValue:
    return _all(call, "dissent", query.patient)


def _accesses(call: Call, query: queries.QueryAccesses) -> JsonValue:
    if query.id is not None:
        return _found(call, "access", query.id)
    return _page(call, "access", (), query.after, query.limit or queries.MAX_PAGE_ITEMS)


def _emergency(call: Call, query: queries.QueryEmergency) -> JsonValue:
    return {**_found(call, "emergency", query.id), "reviews": _items(call, "review", query.id)}


def _request(call: Call, query: queries.QueryRequest) -> JsonValue:
    answered = _value(call, "answer", query.id)
    return {**_found(call, "request", query.id), "answer": answered and answered["grant"]}


def _log(call: Call, query: queries.QueryLog) -> JsonValue:
    return _all(call, "log", query.msp)


def _record(call: Call, query: queries.QueryRecord) -> JsonValue:
    created = _value(call, "record", query.custodian, query.record)
    status = _value(call, "status", query.custodian, query.record) or {
        "status": "active",
        "reason": None,
        "until": None,
    }
    return {
        "custodian": query.custodian,
        "record": query.record,
        "leaf": created and created["leaf"],
        "status": status["status"],
        "reason": status["reason"],
        "until": status["until"],
        "attestations": _items(call, "attestation", query.custodian, query.record),
    }


def _statement(call: Call, query: queries.QueryStatement) -> JsonValue:
    return _found(call, "statement", query.kind, query.id)


def _history(call: Call, query: queries.QueryHistory) -> JsonValue:
    """The newest writes of a key. A value is given as its bytes, because the verifier compares bytes."""
    writes = call.stub.get_history_for_key(create_composite_key(query.key[0], query.key[1:]))
    newest = list(islice(writes, MAX_HISTORY_ITEMS + 1))
    items: list[JsonValue] = [
        {
            "tx_id": write.tx_id,
            "at": instant(write.timestamp),
            "value": None if write.value is None else encode_bytes(write.value),
        }
        for write in newest[:MAX_HISTORY_ITEMS]
    ]
    return {"items": items, "complete": len(newest) <= MAX_HISTORY_ITEMS}


def _value(call: Call, object_type: str, *attributes: str) -> JsonObject | None:
    encoded = call.stub.get_state(create_composite_key(object_type, attributes))
    return None if encoded is None else jcs.parse_object(encoded)


def _found(call: Call, object_type: str, *attributes: str) -> JsonObject:
    value = _value(call, object_type, *attributes)
    if value is None:
        raise NotFound("there is no such entry", place=object_type)
    return {**_named(object_type, attributes), **value}


def _items(call: Call, object_type: str, *attributes: str) -> list[JsonValue]:
    found = call.stub.get_state_by_partial_composite_key(object_type, attributes)
    return [_item(key, value) for key, value in found]


def _all(call: Call, object_type: str, *attributes: str) -> JsonValue:
    return {"items": _items(call, object_type, *attributes), "next": None}


def _page(call: Call, object_type: str, attributes: tuple[str, ...], after: str | None, limit: int) -> JsonValue:
    page = call.stub.get_state_by_partial_composite_key_with_pagination(object_type, attributes, limit, after or "")
    items: list[JsonValue] = [_item(key, value) for key, value in page.items]
    return {"items": items, "next": page.bookmark or None}


def _item(key: str, encoded: bytes) -> JsonObject:
    object_type, attributes = split_composite_key(key)
    return {**_named(object_type, attributes), **jcs.parse_object(encoded)}


def _named(object_type: str, attributes: tuple[str, ...]) -> JsonObject:
    named: JsonObject = dict(zip(_ATTRIBUTES[object_type], attributes, strict=True))
    if object_type == "log":
        named["incarnation"] = int(attributes[1])
    return named


_ANSWERS: Final[Mapping[type[queries.Query], Callable[[Call, Any], JsonValue]]] = MappingProxyType(
    {
        queries.QueryOrganization: _organization,
        queries.QueryOrganizations: _organizations,
        queries.QueryPatient: _patient,
        queries.QueryGrants: _grants,
        queries.QueryDissents: _dissents,
        queries.QueryAccesses: _accesses,
        queries.QueryEmergency: _emergency,
        queries.QueryRequest: _request,
        queries.QueryLog: _log,
        queries.QueryRecord: _record,
        queries.QueryStatement: _statement,
        queries.QueryHistory: _history,
    }
)
