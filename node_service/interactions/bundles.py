"""``transaction`` and ``batch`` of creations (FHIR R4 http.html, section 3.1.0.11)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from domain.errors import Invalid
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from node_service.client.wire import InputIssue
from node_service.context import Node
from node_service.interactions.written import write_plan
from node_service.records.identity import Item
from node_service.records.input import Input, read_input
from node_service.records.planning import plan
from node_service.staff.principal import StaffPrincipal

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class _Placed:
    resource_type: str
    record: str
    version: int


def process_bundle(node: Node, principal: StaffPrincipal, body: bytes) -> bytes:
    """Create the resources of a transaction or batch; return the response Bundle.

    In a batch a refused entry has its outcome in its place; in a transaction it stops everything.

    Raises:
        Invalid: no such Bundle; an entry that does not create; an invalid resource of a transaction.
        Conflict, Unavailable: as :func:`node_service.interactions.written.write_plan`.
    """
    source = f"fhir:{identifier(node.random(IDENTIFIER_BYTES))}"
    given = read_input(node, body, FHIR_JSON, source)
    if given.bundle is None or given.bundle.bundle_type not in ("transaction", "batch"):
        raise Invalid("a Bundle of type transaction or batch is expected", reason="bundle-type", place="Bundle.type")
    for entry in given.bundle.entries:
        if entry.method != "POST" or entry.resource is None:
            raise Invalid("only entries that create are taken", reason="unprocessable", place=f"entry[{entry.index}]")
    if given.is_transaction:
        for refused in (*given.refused, *given.skipped):
            raise Invalid(refused.reason, reason="unprocessable", place=refused.place)
    return _response(node, given, _write(node, principal, source, given))


def _write(node: Node, principal: StaffPrincipal, source: str, given: Input) -> dict[int, _Placed]:
    placed: dict[int, _Placed] = {}
    for items in [given.items] if given.is_transaction else [[item] for item in given.items]:
        placed |= _write_together(node, principal, source, items)
    return placed


def _write_together(node: Node, principal: StaffPrincipal, source: str, items: list[Item]) -> dict[int, _Placed]:
    with node.database.reading() as session:
        made = plan(node, session, source, items)
    write_plan(node, principal, made, lambda _session: None)
    return {index: _Placed(draft.resource_type, draft.record, draft.version) for index, draft in made.drafts.items()}


def _response(node: Node, given: Input, placed: dict[int, _Placed]) -> bytes:
    entries = given.bundle.entries if given.bundle is not None else ()
    issues = {issue.place: issue for issue in (*given.refused, *given.skipped)}
    at = instant(node.clock.now())
    body = {
        "resourceType": "Bundle",
        "type": f"{given.bundle.bundle_type if given.bundle else 'batch'}-response",
        "entry": [
            {"response": _created(placed[entry.index], at)}
            if entry.index in placed
            else {"response": _refused(issues.get(entry.place))}
            for entry in entries
        ],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _created(one: _Placed, at: str) -> dict[str, object]:
    return {
        "status": "201 Created",
        "location": f"{one.resource_type}/{one.record}/_history/{one.version}",
        "etag": f'W/"{one.version}"',
        "lastModified": at,
    }


def _refused(issue: InputIssue | None) -> dict[str, object]:
    text = "the resource is not taken" if issue is None else issue.reason
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "invalid", "details": {"text": text}}],
    }
    return {"status": "400 Bad Request", "outcome": outcome}
