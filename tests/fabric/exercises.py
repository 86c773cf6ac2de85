"""A contract that does what it is told, to try the contract's service on a real peer; every answer is JSON."""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import Any

from chaincode.service.peer_stub import PeerStub
from chaincode.stub import Response, Stub, create_composite_key
from domain.errors import Invalid

CONTRACT = "tests.fabric.exercises:exercise"
SECRET = "Zyxqwv"
TYPE = "letter"


def exercise(stub: Stub, name: str, arguments: bytes) -> Response:
    """One exercise; what the stub refuses is answered as the product's contract answers it."""
    try:
        return Response(200, payload=json.dumps(_EXERCISES[name](stub, json.loads(arguments or b"{}"))).encode())
    except Invalid as error:
        return Response(400, json.dumps({"detail": error.detail, "place": error.place, "reason": error.reason}))


def _key(name: str) -> str:
    return create_composite_key(TYPE, [name])


def _put(stub: Stub, given: dict[str, Any]) -> None:
    for key, value in given.items():
        stub.put_state(_key(key), value.encode())


def _put_size(stub: Stub, given: dict[str, Any]) -> None:
    stub.put_state(_key("large"), bytes(given["bytes"]))


def _get(stub: Stub, given: dict[str, Any]) -> str | None:
    time.sleep(given.get("after_s", 0))
    value = stub.get_state(_key(given["key"]))
    return None if value is None else value.decode()


def _read_own_write(stub: Stub, given: dict[str, Any]) -> str | None:
    stub.put_state(_key(given["key"]), b"own")
    stub.set_event("first", b"1")
    stub.set_event("last", given["key"].encode())
    return _get(stub, given)


def _delete(stub: Stub, given: dict[str, Any]) -> None:
    for key in given["keys"]:
        stub.del_state(_key(key))


def _list(stub: Stub, _given: dict[str, Any]) -> list[str]:
    return [key.split("\0")[2] for key, _ in stub.get_state_by_partial_composite_key(TYPE, [])]


def _page(stub: Stub, given: dict[str, Any]) -> list[Any]:
    page = stub.get_state_by_partial_composite_key_with_pagination(TYPE, [], given["size"], given["bookmark"])
    return [[key.split("\0")[2] for key, _ in page.items], page.bookmark]


def _page_and_write(stub: Stub, given: dict[str, Any]) -> None:
    _page(stub, {"size": 1, "bookmark": ""})
    _put(stub, given)


def _history(stub: Stub, given: dict[str, Any]) -> list[Any]:
    past = islice(stub.get_history_for_key(_key(given["key"])), given["most"])
    return [[item.tx_id, item.timestamp.isoformat(), item.value and item.value.decode()] for item in past]


def _transient(stub: Stub, _given: dict[str, Any]) -> dict[str, str]:
    assert isinstance(stub, PeerStub)
    return {name: value.hex() for name, value in stub.transient.items()}


def _who(stub: Stub, _given: dict[str, Any]) -> list[Any]:
    return [
        stub.channel,
        stub.tx_id,
        stub.timestamp.isoformat(),
        stub.creator.msp_id,
        stub.creator.organizational_units,
    ]


def _fail(_stub: Stub, _given: dict[str, Any]) -> None:
    raise ValueError(SECRET)


_EXERCISES = {
    "Delete": _delete,
    "Fail": _fail,
    "Get": _get,
    "History": _history,
    "List": _list,
    "Page": _page,
    "PageAndWrite": _page_and_write,
    "Put": _put,
    "PutSize": _put_size,
    "ReadOwnWrite": _read_own_write,
    "Transient": _transient,
    "Who": _who,
}
