"""One run that uses every transaction and every query, with refusals of each kind among them."""

from __future__ import annotations

from dataclasses import replace

from domain import queries, transactions
from domain.statements import Erasure, Rotate
from domain.transactions import (
    AnchorStatement,
    AttestErasure,
    CloseRegistration,
    CreateRecord,
    EraseRecord,
    LockRecord,
    Opening,
    RequestAccess,
    RetractRecord,
    ReviewBreakGlass,
    RotateKey,
    Transaction,
    UpdateOrganization,
)
from tests.unit.chaincode.trace import entry
from tests.unit.chaincode.world import (
    CHANNEL,
    NOW,
    A,
    B,
    C,
    Log,
    Wallet,
    a_digest,
    after,
    an_id,
    break_glass,
    grant_terms,
    open_access,
    organization_key,
    registration,
)

Step = tuple[str, Transaction, str]


def steps() -> list[Step]:
    """Caller, transaction, time."""
    li = Wallet("li")
    text = li.text("rotate", Rotate(li.next_epoch().keys))
    rotation = RotateKey(text, li.sign(text), li.next_epoch().sign(text))
    wish = li.next_epoch().signed("erase", Erasure(a_digest("records")))
    log, record, request = Log().grow(20, 20), an_id("record"), an_id("request")
    return [
        *((caller, registration(caller), NOW) for caller in (A, B, C)),
        (A, UpdateOrganization(f"https://{A}.example", (organization_key(), organization_key("k2", use="tls"))), NOW),
        (A, li.enrol(), NOW),
        (A, log.anchor((5, 2)), NOW),
        (A, log.anchor((9, 7), (5, 2), unwraps=3), after(1)),
        (A, log.anchor((8, 7), (5, 2), unwraps=3), after(1)),
        (A, log.anchor((2, 2), incarnation=2, opening=Opening("restore", 9, 7)), after(2)),
        (A, CreateRecord(record, a_digest("leaf")), after(2)),
        (B, RequestAccess(request, after(600)), after(3)),
        (C, li.grant("g", grant_terms(request=request, practitioner=an_id("doctor"))), after(4)),
        (B, li.grant("g", grant_terms(request=request, practitioner=an_id("doctor"))), after(4)),
        (B, open_access("o", li, "g", until=after(800)), after(5)),
        (C, open_access("o2", li, "g", until=after(800)), after(5)),
        (A, rotation, after(6)),
        (B, li.grant("late"), after(6)),
        (B, li.next_epoch().dissent("d"), after(7)),
        (C, li.next_epoch().revoke("r", "g"), after(8)),
        (C, li.next_epoch().revoke("r2", "never"), after(8)),
        (B, li.next_epoch().revoke_all("all", 2), after(9)),
        (B, li.next_epoch().grant("below"), after(9)),
        (B, replace(li.next_epoch(), grant_epoch=2).grant("above"), after(9)),
        (B, break_glass("e"), after(10)),
        (B, ReviewBreakGlass(an_id("e"), "justified", an_id("officer"), a_digest("note")), after(11)),
        (A, ReviewBreakGlass(an_id("e"), "escalated", an_id("officer"), a_digest("note")), after(11)),
        (A, LockRecord(record, "retention", after(13)), after(12)),
        (A, EraseRecord((record,)), after(12)),
        (A, RetractRecord(an_id("wrong"), "wrong-patient"), after(13)),
        (A, EraseRecord((record,)), after(13)),
        (B, AttestErasure(A, (record,), None), after(14)),
        (C, AnchorStatement(an_id("fact"), "ai-result", a_digest("fact"), None, None), after(15)),
        (C, AnchorStatement(an_id("erase"), "erasure-request", a_digest("records"), *wish), after(15)),
        (A, CloseRegistration(li.patient, "deceased"), after(16)),
    ]  # fmt: skip


def asked() -> list[queries.Query]:
    """Every query on what the steps left behind."""
    patient, record = Wallet("li").patient, an_id("record")
    return [
        queries.QueryOrganization(A),
        queries.QueryOrganizations(),
        queries.QueryPatient(patient),
        queries.QueryGrants(patient, None, 2),
        queries.QueryDissents(patient),
        queries.QueryAccesses(after=None, limit=10),
        queries.QueryAccesses(id=an_id("o")),
        queries.QueryAccesses(id=an_id("nothing")),
        queries.QueryEmergency(an_id("e")),
        queries.QueryRequest(an_id("request")),
        queries.QueryLog(A),
        queries.QueryRecord(A, record),
        queries.QueryStatement("ai-result", an_id("fact")),
        queries.QueryHistory(("org", A)),
    ]


def trace() -> list[dict[str, str]]:
    """The run as a trace, malformed invocations at its end."""
    run = [entry(*transactions.encode(step), caller, at, CHANNEL) for caller, step, at in steps()]
    run += [entry(*queries.encode(query), C, after(20), CHANNEL) for query in asked()]
    run += [entry(name, b"{}", C, after(21), CHANNEL) for name in (*transactions.NAMES, *queries.NAMES, "Nothing")]
    return run
