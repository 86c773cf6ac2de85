"""The contract's refusal as our error, whichever ledger carried it."""

from __future__ import annotations

from typing import Final

from domain import jcs
from domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable, YilianError

_MAX_MESSAGE_BYTES: Final = 64 * 1024
_MAX_MESSAGE_DEPTH: Final = 4
_ERRORS: Final[dict[int, type[YilianError]]] = {400: Invalid, 403: Denied, 404: NotFound, 409: Conflict}


def contract_error(status: int, message: str) -> YilianError:
    """The error of a contract's answer: status 400, 403, 404 or 409 with a JCS message {reason, detail, place}."""
    kind = _ERRORS.get(status)
    if kind is None:
        return Unavailable(f"the contract failed with status {status}", reason="contract-failed")
    try:
        fields = jcs.load(message.encode(), max_bytes=_MAX_MESSAGE_BYTES, max_depth=_MAX_MESSAGE_DEPTH)
    except (Invalid, UnicodeEncodeError):
        fields = None
    if not isinstance(fields, dict):
        return kind("the contract refused", reason="contract-refused")
    texts = {name: str(fields.get(name) or "") for name in ("detail", "reason", "place")}
    return kind(texts["detail"], reason=texts["reason"] or None, place=texts["place"])
