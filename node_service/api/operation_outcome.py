"""OperationOutcome (FHIR R4, https://hl7.org/fhir/R4/operationoutcome.html) of a problem."""

from __future__ import annotations

import json
from typing import Final

from node_service.client.wire import Problem

FHIR_JSON: Final = "application/fhir+json"
_CODES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    409: "conflict",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    503: "transient",
    504: "timeout",
}
"""Issue types of http://hl7.org/fhir/issue-type by status; everything else is an ``exception``."""


def operation_outcome(problem: Problem) -> bytes:
    """The outcome's JSON: one issue; ``details.text`` for people, ``diagnostics`` the reason word and the tx id."""
    text = problem.detail or problem.title
    issue: dict[str, object] = {
        "severity": "error",
        "code": _CODES.get(problem.status, "exception"),
        "details": {"text": text},
        "diagnostics": problem.reason if problem.tx_id is None else f"{problem.reason} {problem.tx_id}",
    }
    if problem.place:
        issue["expression"] = [problem.place]
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}, ensure_ascii=False).encode()
