from __future__ import annotations

import json

import pytest
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from domain import errors
from node_service.api import problems
from node_service.api.metrics import Metrics
from node_service.api.operation_outcome import operation_outcome
from node_service.api.problems import NotAcceptable, NotAuthenticated, TooManyRequests, problem
from node_service.api.request_log import RequestLog
from node_service.api.strict_json import MAX_JSON_DEPTH, StrictRoute
from node_service.client.wire import StaffLogin
from tests.unit.node_service.api.asgi import ask

NAME = "Wang Xiaoming"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(RequestLog, metrics=Metrics(), https=True)])
    problems.add_handlers(app)
    router = APIRouter(route_class=StrictRoute)

    @router.post("/login")
    async def login(body: StaffLogin) -> str:
        return body.username

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError(NAME)

    app.include_router(router)
    return app


@pytest.mark.parametrize(
    ("error", "path", "status"),
    [
        (errors.Invalid("d"), "/api/x", 400),
        (errors.Invalid("d", reason="too-large"), "/api/x", 413),
        (errors.Invalid("d", reason="media-type"), "/api/x", 415),
        (errors.Invalid("d", reason="unprocessable"), "/fhir", 422),
        (errors.Invalid("d", reason="precondition-required"), "/fhir/x", 428),
        (NotAcceptable("d"), "/fhir/x", 406),
        (NotAuthenticated("d"), "/wallet/x", 401),
        (errors.Denied("d"), "/api/x", 403),
        (errors.Denied("d"), "/wallet/x", 404),
        (errors.Denied("d"), "/exchange/x", 404),
        (errors.NotFound("d"), "/exchange/x", 404),
        (errors.Conflict("d"), "/api/x", 409),
        (errors.Conflict("d", reason="precondition"), "/fhir/x", 412),
        (errors.Tampered("d"), "/api/records/x", 500),
        (errors.Tampered("d"), "/api/shared/accesses/x", 502),
        (TooManyRequests("d"), "/wallet/x", 429),
        (errors.Unavailable("d"), "/api/x", 503),
        (errors.OutcomeUnknown("d", tx_id="t"), "/api/x", 504),
        (RuntimeError("d"), "/api/x", 500),
    ],
)
def test_every_error_has_its_status(error: Exception, path: str, status: int) -> None:
    assert problem(error, path).status == status


def test_denied_and_absent_are_the_same_document_outside_the_hospital() -> None:
    denied = problem(errors.Denied("no grant covers it", reason="no-rule", place="record"), "/exchange/release")
    assert (denied.reason, denied.place) == ("not-found", "")
    assert "grant" not in denied.detail


def test_an_unknown_outcome_names_its_transaction() -> None:
    assert problem(errors.OutcomeUnknown("d", tx_id="abc"), "/api/x").tx_id == "abc"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"username":"a","username":"b","password":"p"}', "duplicate-key"),
        (b'{"username":NaN,"password":"p"}', "not-json"),
        (b'{"username":"a"', "not-json"),
        (b"\xff", "not-utf8"),
        (b'{"username":' + b"[" * 10_000, "too-deep"),
        (b'{"username":' + b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH + b',"password":"p"}', "too-deep"),
    ],
)
def test_json_is_read_strictly(app: FastAPI, body: bytes, reason: str) -> None:
    answer = ask(app, "POST", "/login", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["reason"] == reason


@pytest.mark.parametrize(
    "body",
    [
        {"username": NAME},
        {"username": NAME * 100, "password": "p"},
        {"username": [NAME], "password": "p"},
        {"username": "a", "password": "p", NAME: "x"},
        NAME,
        [NAME],
    ],
)
def test_nothing_that_was_sent_is_repeated_in_the_answer(app: FastAPI, body: object) -> None:
    answer = ask(app, "POST", "/login", content=json.dumps(body).encode(), headers=JSON)
    assert answer.status_code == 400
    assert "Xiaoming" not in answer.text


def test_an_unexpected_error_tells_neither_the_caller_nor_the_log_its_message(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        answer = ask(app, "GET", f"/broken?name={NAME}")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "internal"
    assert "RuntimeError" in lines(caplog)
    assert answer.headers["x-request-id"] in lines(caplog)
    assert "Xiaoming" not in lines(caplog) + answer.text


def test_log_lines_hold_the_route_and_never_path_or_query(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        ask(app, "GET", "/records/secret-id?name=secret-name")
    (line,) = [json.loads(record.message) for record in caplog.records if record.name == "yilian.requests"]
    assert line["route"] == "unmatched"
    assert line["status"] == 404
    assert "secret" not in lines(caplog)


def test_every_answer_forbids_sniffing_framing_and_storing(app: FastAPI) -> None:
    headers = ask(app, "GET", "/nowhere").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert "default-src 'none'" in headers["content-security-policy"]


def test_an_operation_outcome_tells_code_text_and_place() -> None:
    found = problem(errors.Conflict("read again", reason="precondition", place="Observation"), "/fhir/Observation/x")
    (issue,) = json.loads(operation_outcome(found))["issue"]
    assert issue == {
        "severity": "error",
        "code": "conflict",
        "details": {"text": "read again"},
        "diagnostics": "precondition",
        "expression": ["Observation"],
    }


def lines(caplog: pytest.LogCaptureFixture) -> str:
    """What the node logged; the test's own HTTP client logs too."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("yilian"))
