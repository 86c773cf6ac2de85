"""The OpenAPI document: the product's own problem form, and an example on every body."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from node_service.api import tus
from node_service.api.body_examples import EXAMPLES
from node_service.api.operation_outcome import FHIR_JSON
from node_service.api.problems import PROBLEM_JSON
from node_service.client.wire import Problem

_PROBLEMS: Final = {
    "400": "breaks a rule",
    "401": "no credentials, or such as are not accepted",
    "403": "not allowed",
    "404": "not there, or not for you",
    "406": "only FHIR JSON is spoken",
    "408": "the body came too slowly",
    "409": "contradicts what there is",
    "412": "the version is no longer the present one, or not the one spoken here",
    "413": "too large",
    "415": "another media type",
    "416": "no such range of bytes",
    "422": "cannot be processed",
    "423": "another request continues it",
    "428": "If-Match is missing",
    "429": "too often",
    "500": "what is stored does not verify",
    "502": "what another hospital gave does not verify",
    "503": "try again",
    "504": "the outcome is unknown; ask with tx_id",
}
_JSON: Final = "application/json"
_OPEN_GETS: Final = ("/health", "/ready", "/metrics", "/hospital", "/fhir/metadata")
"""Routes that need nothing that may be missing, and count nobody's requests."""


def describe(app: FastAPI) -> None:
    """Let the application answer ``/openapi.json`` with this description; made once, on the first request."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = found["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _describe_problems(path, method, operation)
    return found


def _describe_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Errors are problem documents, under ``/fhir`` OperationOutcomes, and not FastAPI's own form."""
    responses = operation["responses"]
    responses.pop("422", None)
    is_fhir = path == "/fhir" or path.startswith("/fhir/")
    schema = {"type": "object"} if is_fhir else {"$ref": "#/components/schemas/Problem"}
    content = {FHIR_JSON if is_fhir else PROBLEM_JSON: {"schema": schema}}
    for status in sorted(_statuses(path, method, operation, is_fhir=is_fhir)):
        responses.setdefault(status, {"description": _PROBLEMS[status], "content": content})


def _statuses(path: str, method: str, operation: dict[str, Any], *, is_fhir: bool) -> set[str]:
    """With which errors an operation may answer."""
    found = {"503"}
    if "requestBody" in operation or "parameters" in operation:
        found.add("400")
    if "requestBody" in operation:
        found |= {"408", "413"}
        if _JSON not in operation["requestBody"]["content"]:
            found |= {"415", "422"}
    if "security" in operation:
        found |= {"401", "403", "404", "500"}
    elif path not in _OPEN_GETS:
        found |= {"401", "404", "429"}
    if method != "get":
        found |= {"409", "504"}
    if path.startswith("/api/shared"):
        found.add("502")
    if "/objects/" in path:
        found.add("416")
    if path.startswith(tus.PATH) and method != "options":
        found |= {"412", "423", "429"}
    if is_fhir:
        found |= {"406", "412", "428"} if method == "put" else {"406"}
    return found
