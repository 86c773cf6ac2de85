"""Errors as answers: RFC 9457 problem documents, and OperationOutcome under ``/fhir``.

Nothing of the request is repeated in an answer, because what was sent may be patient data.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from domain import errors
from domain.errors import YilianError
from node_service.api import tus
from node_service.api.operation_outcome import FHIR_JSON, operation_outcome
from node_service.client.wire import Problem

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
_OUTSIDE: Final = ("/wallet", "/exchange")
_READER_SIDE: Final = "/api/shared"
_STATUS: Final[dict[type[YilianError], int]] = {
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Tampered: 500,
    errors.Unavailable: 503,
    errors.OutcomeUnknown: 504,
}
_CLOSER: Final = {"too-large": 413, "media-type": 415, "unprocessable": 422, "precondition-required": 428}
_CLOSER_CONFLICT: Final = {"precondition": 412, "upload-busy": 423, "too-many-uploads": 429}


class NotAuthenticated(errors.Denied):
    """No credentials, or such as are not accepted (RFC 9110 section 15.5.2)."""

    default_reason = "unauthenticated"


class NotAcceptable(errors.Invalid):
    """The caller wants an answer in a form that is not spoken here (RFC 9110 section 15.5.7)."""

    default_reason = "not-acceptable"


class TooManyRequests(errors.Unavailable):
    """The caller asks too often (RFC 6585 section 4)."""

    default_reason = "rate-limit"


def add_handlers(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    app.add_exception_handler(YilianError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_error)


def problem(error: Exception, path: str) -> Problem:
    """The problem document of an error; outside the own hospital Denied looks like NotFound."""
    if isinstance(error, YilianError):
        return _product_problem(error, path)
    if isinstance(error, RequestValidationError):
        return _of(400, "the request does not have the expected form", "form", _first_place(error))
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, YilianError):
            return _product_problem(error.__cause__, path)
        return _of(error.status_code, "", HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"))
    return _of(500, "the node failed; the request id finds the reason in its log", "internal")


def answer(found: Problem, path: str) -> Response:
    """The response that carries a problem document."""
    if path == "/fhir" or path.startswith("/fhir/"):
        body, media_type = operation_outcome(found), FHIR_JSON
    else:
        body, media_type = found.model_dump_json(exclude_none=True).encode(), PROBLEM_JSON
    return Response(body, found.status, _headers(found.status, path), media_type)


def _answer_error(request: Request, error: Exception) -> Response:
    path = request.scope["path"]
    response = answer(problem(error, path), path)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


def _product_problem(error: YilianError, path: str) -> Problem:
    if isinstance(error, errors.Denied) and not isinstance(error, NotAuthenticated) and path.startswith(_OUTSIDE):
        return _of(404, "there is nothing here that you may know about", "not-found")
    found = _of(_status(error, path), error.detail, error.reason, error.place)
    return found.model_copy(update={"tx_id": error.tx_id}) if isinstance(error, errors.OutcomeUnknown) else found


def _status(error: YilianError, path: str) -> int:
    if isinstance(error, NotAuthenticated):
        return 401
    if isinstance(error, NotAcceptable):
        return 406
    if isinstance(error, TooManyRequests):
        return 429
    if isinstance(error, errors.Tampered) and path.startswith(_READER_SIDE):
        return 502
    general = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    closer = {400: _CLOSER, 409: _CLOSER_CONFLICT}.get(general, {})
    return closer.get(error.reason, general)


def _of(status: int, detail: str, reason: str, place: str = "") -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason, place=place)


def _headers(status: int, path: str) -> dict[str, str]:
    return _general_headers(status, path) | (tus.HEADERS if path.startswith(tus.PATH) else {})


def _general_headers(status: int, path: str) -> dict[str, str]:
    if status in (429, 503):
        return {"Retry-After": str(RETRY_AFTER_S)}
    if status == 401:
        scheme = 'DPoP algs="EdDSA"' if path.startswith("/wallet") else "Bearer"
        return {"WWW-Authenticate": scheme}
    if status in (408, 413):
        return {"Connection": "close"}
    return {}


def _first_place(error: RequestValidationError) -> str:
    """Where the form breaks: names of fields and numbers only; an unknown name is the sender's text."""
    found = error.errors()[0]
    location = found["loc"][:-1] if found["type"] == "extra_forbidden" else found["loc"]
    return json.dumps(found["type"])[1:-1] + " at " + ".".join(str(part) for part in location)
