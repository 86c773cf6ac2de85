"""JSON bodies come before anybody is authenticated: what they cost is bounded."""

from __future__ import annotations

import json
import threading
import time

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from domain import jcs
from node_service.api import problems
from node_service.api.strict_json import MAX_JSON_TOKENS, MAX_LOOP_BYTES, StrictRoute
from tests.cpu import frugal
from tests.unit.node_service.api.asgi import ask

JSON = {"Content-Type": "application/json"}


class Body(BaseModel):
    text: str = ""
    values: list[object] = []


@pytest.fixture
def app() -> FastAPI:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/count")
    async def count(body: Body) -> int:
        return len(body.text) + len(body.values)

    app = FastAPI()
    app.include_router(router)
    problems.add_handlers(app)
    return app


@pytest.mark.parametrize("value", [b"{}", b"0", b'""', b"[]", b'{"a":1}'])
def test_a_body_of_very_many_values_is_refused_before_it_is_read(app: FastAPI, value: bytes) -> None:
    body = b'{"values":[' + b",".join([value] * (MAX_JSON_TOKENS + 1)) + b"]}"
    answer = ask(app, "POST", "/count", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too-large")


def test_a_long_text_counts_as_one_value(app: FastAPI) -> None:
    text = '{"a": [1, 2]},' * MAX_JSON_TOKENS
    answer = ask(app, "POST", "/count", content=json.dumps({"text": text}).encode(), headers=JSON)
    assert answer.json() == len(text)


def test_long_bodies_are_read_beside_the_loop_that_serves_everybody(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []
    load = jcs.load

    def seen(encoded: bytes, *, max_bytes: int, max_depth: int) -> jcs.JsonValue:
        threads.append(threading.current_thread() is threading.main_thread())
        return load(encoded, max_bytes=max_bytes, max_depth=max_depth)

    monkeypatch.setattr(jcs, "load", seen)
    for length in (1, MAX_LOOP_BYTES):
        assert ask(app, "POST", "/count", content=json.dumps({"text": "a" * length}).encode(), headers=JSON).is_success
    assert threads == [True, False]


@pytest.mark.parametrize("before", [b"", b"[]" * 40])
def test_a_text_that_never_ends_is_refused_in_the_time_of_its_length(app: FastAPI, before: bytes) -> None:
    body = b'{"values":[' + before + b'"' + b'\\"' * 100_000
    answer = frugal(2.0, lambda: ask(app, "POST", "/count", content=body, headers=JSON), clock=time.process_time)
    assert answer.status_code == 400
