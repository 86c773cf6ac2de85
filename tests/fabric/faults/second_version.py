"""A second version of the product's contract: requests for access leave a mark, everything else is as before."""

from __future__ import annotations

from chaincode.contract import v1
from chaincode.stub import Response, Stub, create_composite_key
from domain import jcs
from domain.transactions import RequestAccess

CONTRACT = "tests.fabric.faults.second_version:invoke"
MARK = "second-version"


def invoke(stub: Stub, name: str, arguments: bytes) -> Response:
    """Who executes the first version again, finds other writes."""
    answer = v1.invoke(stub, name, arguments)
    if answer.status == 200 and name == RequestAccess.__name__:
        request = str(jcs.parse_object(arguments)["id"])
        stub.put_state(create_composite_key(MARK, [request]), jcs.canonical({"v": 2}))
    return answer
