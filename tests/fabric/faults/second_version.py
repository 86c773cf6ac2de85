"""A second version of the product's contract: requests for access leave a mark, everything else is as before."""

from __future__ import annotations

from chaincode.contract import v1
from chaincode.stub import Response, Stub, create_composite_key
from domain import jcs
from domain.entries import OBJECT_TYPE_OF, RequestEntry
from domain.transactions import RequestAccess

CONTRACT = "tests.fabric.faults.second_version:invoke"
MARK = "second-version"


def invoke(stub: Stub, name: str, arguments: bytes) -> Response:
    """Who executes the first version again finds other writes. A request that is repeated changes nothing here, too."""
    answer = v1.invoke(stub, name, arguments)
    if answer.status == 200 and name == RequestAccess.__name__:
        request = str(jcs.parse_object(arguments)["id"])
        if stub.get_state(create_composite_key(OBJECT_TYPE_OF[RequestEntry], [request])) is None:
            stub.put_state(create_composite_key(MARK, [request]), jcs.canonical({"v": 2}))
    return answer
