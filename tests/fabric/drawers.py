"""The contract of the Gateway client's scenarios: the drawers of the ledger's own tests, and ways to go wrong.

``PEER_MSP`` in its environment names the organisation whose peer calls it; a real contract must not look there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from chaincode.service.peer_stub import PeerStub
from chaincode.stub import Response, Stub
from domain import jcs
from tests.conformance.ledger.drawers import drawers

CONTRACT = "tests.fabric.drawers:invoke"
PEER_MSP = "PEER_MSP"


def invoke(stub: Stub, name: str, arguments: bytes) -> Response:
    """Answers with plain text where the drawers do not answer."""
    given = jcs.parse_object(arguments)
    peer = os.environ[PEER_MSP]
    match name:
        case "Echo":
            return Response(200, "", str(given["text"]).encode())
        case "Announce":
            stub.set_event(str(given["name"]), str(given["text"]).encode())
            return Response(200)
        case "Transient":
            return Response(200, "", jcs.canonical({key: value.decode() for key, value in _transient(stub).items()}))
        case "PeerOrganization":
            return Response(200, "", peer.encode())
        case "CheckTransient":
            return Response(200, "", b"fits") if peer in _transient(stub) else Response(500, "nothing for me")
        case "RefuseAt":
            refuses = peer in str(given["organizations"]).split()
            return Response(500, f"{peer} refuses") if refuses else Response(200, "", b"accepted")
        case "Differ":
            return Response(200, "", f"only {peer} says so".encode())
        case "Break":
            raise RuntimeError("broken on purpose")
        case "Crash":
            os._exit(1)
    return drawers(stub, name, arguments)


def _transient(stub: Stub) -> Mapping[str, bytes]:
    assert isinstance(stub, PeerStub)
    return stub.transient
