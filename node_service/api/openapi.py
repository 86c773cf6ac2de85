"""The OpenAPI document: the product's own problem form, and an example on every body."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from node_service.api.body_examples import EXAMPLES
from node_service.api.problems import PROBLEM_JSON
from node_service.client.wire import Problem

_PROBLEMS = {"401": "no credentials", "403": "not allowed", "404": "not there, or not for you", "503": "try again"}


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
    for path in found["paths"].values():
        for operation in path.values():
            _describe_problems(operation)
    return found


def _describe_problems(operation: dict[str, Any]) -> None:
    """Errors are problem documents, not FastAPI's own form."""
    responses = operation["responses"]
    responses.pop("422", None)
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    secured = _PROBLEMS if "security" in operation else {"503": _PROBLEMS["503"]}
    if "requestBody" in operation or "parameters" in operation:
        responses["400"] = {"description": "breaks a rule", "content": content}
    for status, description in secured.items():
        responses.setdefault(status, {"description": description, "content": content})
