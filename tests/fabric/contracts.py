"""A contract of two functions and a number, in two versions: what a change of a network is tried with."""

from __future__ import annotations

import json

from chaincode.stub import Response, Stub

FIRST = "tests.fabric.contracts:first"
SECOND = "tests.fabric.contracts:second"


def first(stub: Stub, name: str, arguments: bytes) -> Response:
    return _invoke(stub, name, arguments, version=b"1")


def second(stub: Stub, name: str, arguments: bytes) -> Response:
    return _invoke(stub, name, arguments, version=b"2")


def _invoke(stub: Stub, name: str, arguments: bytes, version: bytes) -> Response:
    if name == "version":
        return Response(200, payload=version)
    key = json.loads(arguments)["key"]
    if name == "put":
        stub.put_state(key, json.loads(arguments)["value"].encode())
        return Response(200)
    return Response(200, payload=stub.get_state(key) or b"")
