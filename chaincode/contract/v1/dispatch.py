"""From a name and argument bytes to the module that knows the rule, and from its answer to writes and an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from chaincode.contract.v1 import (
    accesses,
    anchors,
    emergencies,
    grants,
    organizations,
    patients,
    queries,
    records,
    statements,
)
from chaincode.contract.v1.call import Call, Changes, open_call
from chaincode.stub import Response, Stub
from domain import jcs, transactions
from domain import queries as query_types
from domain.errors import Conflict, Denied, Invalid, NotFound, YilianError

OK: Final = 200
_STATUS: Final[Mapping[type[YilianError], int]] = MappingProxyType(
    {Invalid: 400, Denied: 403, NotFound: 404, Conflict: 409}
)
Rule = Callable[[Call, Any], Changes]

RULES: Final[Mapping[type[transactions.Transaction], Rule]] = MappingProxyType(
    {
        transactions.RegisterOrganization: organizations.register,
        transactions.UpdateOrganization: organizations.update,
        transactions.RegisterPatient: patients.register,
        transactions.CloseRegistration: patients.close,
        transactions.RotateKey: patients.rotate,
        transactions.Anchor: anchors.anchor,
        transactions.CreateRecord: records.create,
        transactions.RetractRecord: records.retract,
        transactions.LockRecord: records.lock,
        transactions.EraseRecord: records.erase,
        transactions.AttestErasure: records.attest_erasure,
        transactions.RequestAccess: accesses.request,
        transactions.AuthorizeAccess: grants.authorize,
        transactions.Dissent: grants.dissent,
        transactions.RevokeAccess: grants.revoke,
        transactions.RevokeAll: grants.revoke_all,
        transactions.OpenAccess: accesses.open_access,
        transactions.BreakGlass: emergencies.break_glass,
        transactions.ReviewBreakGlass: emergencies.review,
        transactions.AnchorStatement: statements.anchor,
    }
)


def invoke(stub: Stub, name: str, arguments: bytes) -> Response:
    """Run a transaction or a query of the contract.

    Args:
        name: of domain.transactions or domain.queries.
        arguments: the JCS bytes of its argument object.

    Returns:
        Status 200 with a JCS payload, or the refusal: status 400, 403, 404 or 409 with JCS
        ``{"detail", "place", "reason"}`` as message.
    """
    try:
        answer = _answer(stub, name, arguments)
        return Response(OK, payload=jcs.canonical(answer))
    except YilianError as error:
        return _refusal(error)


def _answer(stub: Stub, name: str, arguments: bytes) -> jcs.JsonValue:
    call = open_call(stub)
    if name in query_types.NAMES:
        return queries.answer(call, query_types.parse(name, arguments))
    transaction = transactions.parse(name, arguments)
    first = type(transaction) is transactions.RegisterOrganization
    if not first and not call.is_active_organization(call.caller):
        raise Denied("the calling organisation is no active member", reason="not-a-member")
    changes = RULES[type(transaction)](call, transaction)
    for change in changes:
        call.put(change)
    if changes:
        stub.set_event(_event_name(transaction), _event_payload(changes))
    return {"changed": bool(changes)}


def _event_name(transaction: transactions.Transaction) -> str:
    if isinstance(transaction, transactions.Anchor) and transaction.opening is not None:
        return "IncarnationOpened"
    return type(transaction).__name__


def _event_payload(changes: Changes) -> bytes:
    return jcs.canonical({"keys": sorted("/".join(change.parts) for change in changes)})


def _refusal(error: YilianError) -> Response:
    message = jcs.canonical({"detail": error.detail, "place": error.place, "reason": error.reason})
    return Response(_STATUS.get(type(error), 403), message.decode())
