"""A contract for these tests: drawers with a text in each, and one transaction per rule of the ledger.

Drawers stand in cabinets, so that tests which share a ledger do not see each other's; without a name, in a common one.
"""

from __future__ import annotations

from chaincode.stub import Response, Stub, create_composite_key
from domain import jcs

CONTRACT = "yilian"
NAMES = ("Put", "Append", "PutTwiceAndRead", "Empty", "Count", "Read", "List", "History", "WhoAmI", "Refuse")


def drawers(stub: Stub, name: str, arguments: bytes, /) -> Response:
    """Answers with JCS; refuses what it does not know as the real contract does."""
    given = jcs.parse_object(arguments)
    cabinet = [str(given["cabinet"])] if "cabinet" in given else []
    key = create_composite_key("drawer", [*cabinet, str(given.get("drawer", "none"))])
    match name:
        case "Put":
            stub.put_state(key, jcs.canonical(given["text"]))
            stub.set_event("Put", arguments)
        case "Append":
            held = stub.get_state(key)
            text = str(jcs.parse(held)) if held else ""
            stub.put_state(key, jcs.canonical(text + str(given["text"])))
        case "PutTwiceAndRead":
            stub.put_state(key, jcs.canonical("first"))
            stub.put_state(key, jcs.canonical("second"))
            return _answer(stub.get_state(key))
        case "Empty":
            stub.del_state(key)
        case "Count":
            found = list(stub.get_state_by_partial_composite_key("drawer", cabinet))
            stub.put_state(create_composite_key("count", cabinet), jcs.canonical(len(found)))
        case "Read":
            held = stub.get_state(key)
            return _answer(held) if held else _refusal(404, "there is no such drawer")
        case "List":
            found = list(stub.get_state_by_partial_composite_key("drawer", cabinet))
            return Response(200, "", jcs.canonical([jcs.parse(value) for _, value in found]))
        case "History":
            past = stub.get_history_for_key(key)
            items = [[item.tx_id, None if item.value is None else jcs.parse(item.value)] for item in past]
            return Response(200, "", jcs.canonical(items))
        case "WhoAmI":
            return Response(200, "", jcs.canonical([stub.creator.msp_id, dict(stub.creator.attributes)]))
        case "Refuse":
            return _refusal(int(str(given["status"])), "refused on request")
        case _:
            return _refusal(400, "there is no such transaction")
    return Response(200, "", jcs.canonical({"changed": True}))


def _answer(value: bytes | None) -> Response:
    return Response(200, "", value or b"null")


def _refusal(status: int, detail: str) -> Response:
    message = jcs.canonical({"reason": "asked-for", "detail": detail, "place": "drawer"})
    return Response(status, message.decode())
