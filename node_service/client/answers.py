"""What a node answered, as values and errors of the product's own taxonomy."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.certificates import UNTRUSTED, is_untrusted
from domain.errors import Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Tampered, Unavailable, YilianError

MAX_PROBLEM_BYTES: Final = 64 * 1024
MAX_JSON_BYTES: Final = 256 * 1024 * 1024
UNPACKED: Final = {"Accept-Encoding": "identity"}
"""Asked of every node: bounds count bytes as they come, and a few packed ones could unfold to any number."""
Value = TypeVar("Value")
_KINDS: Final[dict[int, type[Invalid | Denied | NotFound | Conflict | Tampered | Unavailable]]] = {
    401: Denied,
    403: Denied,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: Conflict,
    423: Conflict,
    429: Unavailable,
    502: Tampered,
    503: Unavailable,
}


class Unsent(Unavailable):
    """The call never left; no answer of anybody can say so."""


def read_value(kind: type[Value] | TypeAdapter[Value], content: bytes) -> Value:
    """The body as a wire value.

    Raises:
        Tampered: the node answered something else than its interface says.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(content)
    except ValidationError:
        raise Tampered("the node's answer has not the form of its interface", reason="answer-form") from None


def verify_unpacked(answer: httpx.Response) -> None:
    """Check, before any of it is read, that an answer is not compressed.

    Raises:
        Tampered: it is, though nobody asked for that.
    """
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Tampered("the node's answer is packed, which nobody asked for", reason="content-encoding")


def body_of(value: BaseModel) -> bytes:
    """A wire value as a body."""
    return value.model_dump_json().encode()


def error_of(status: int, content: bytes, *, may_have_done: bool = False) -> YilianError:
    """The error that a problem document or an OperationOutcome tells.

    Args:
        may_have_done: a proxy's own 502 or 503, which names no reason, leaves open whether the node did what was asked.
    """
    detail, reason, place, tx_id = _told(content)
    text = detail or f"the node answered {status}"
    if status == 504:
        return OutcomeUnknown(text, tx_id=tx_id or "", reason=reason)
    if status == 500 and reason not in ("", "internal"):
        return Tampered(text, reason=reason, place=place)
    if status in (502, 503) and not reason:  # a proxy's own, before a node that is down
        return OutcomeUnknown(text, tx_id="", reason="answer-lost") if may_have_done else Unavailable(text)
    kind = _KINDS.get(status) or (Unavailable if status >= 500 else Invalid)
    return kind(text, reason=reason or None, place=place)


def lost(method: str, error: httpx.HTTPError) -> YilianError:
    """The error of a call without an answer: what was sent may have had its effect."""
    told = unanswered("the node", error)
    if method == "POST" and not isinstance(told, Unsent):
        return OutcomeUnknown("the node's answer was lost", tx_id="", reason="answer-lost")
    return told


def unanswered(who: str, error: httpx.HTTPError) -> Unavailable:
    """The error of a call without an answer that may be made again; ``Unsent`` where it never left."""
    if isinstance(error, httpx.ConnectError) and is_untrusted(str(error)):
        return Unsent(f"the certificate of {who} is not trusted", reason=UNTRUSTED)
    left = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    return (Unavailable if left else Unsent)(f"{who} does not answer", reason="no-answer")


def _told(content: bytes) -> tuple[str, str, str, str | None]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return "", "", "", None
    if not isinstance(body, dict):
        return "", "", "", None
    if body.get("resourceType") == "OperationOutcome":
        return _outcome(body)
    tx_id = body.get("tx_id")
    return _text(body, "detail"), _text(body, "reason"), _text(body, "place"), tx_id if isinstance(tx_id, str) else None


def _outcome(body: dict[str, Any]) -> tuple[str, str, str, str | None]:
    issues = body.get("issue")
    issue = issues[0] if isinstance(issues, list) and issues and isinstance(issues[0], dict) else {}
    details = issue.get("details")
    reason, _, tx_id = _text(issue, "diagnostics").partition(" ")
    expression = issue.get("expression")
    place = expression[0] if isinstance(expression, list) and expression and isinstance(expression[0], str) else ""
    return _text(details if isinstance(details, dict) else {}, "text"), reason, place, tx_id or None


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
