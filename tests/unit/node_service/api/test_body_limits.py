from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from starlette.middleware import Middleware

from node_service.api import problems
from node_service.api.body_limits import MAX_JSON_BYTES, BodyLimit, BodyLimits
from tests.unit.node_service.api.asgi import ask

LIMITS = BodyLimits(max_upload_bytes=4 << 20, grace_s=0.05, min_bytes_per_s=1_000_000)


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(BodyLimit, limits=LIMITS)])
    problems.add_handlers(app)

    @app.post("/{path:path}")
    async def count(request: Request) -> int:
        return len(await request.body())

    return app


async def pieces(count: int, size: int = 1024) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(size)


def test_a_body_of_the_largest_size_is_taken(app: FastAPI) -> None:
    assert ask(app, "POST", "/wallet/nonces", content=bytes(MAX_JSON_BYTES)).json() == MAX_JSON_BYTES


def test_a_longer_declared_body_is_refused_before_it_is_read(app: FastAPI) -> None:
    answer = ask(app, "POST", "/wallet/nonces", content=b"x", headers={"Content-Length": str(MAX_JSON_BYTES + 1)})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_longer_chunked_body_is_refused_while_it_streams(app: FastAPI) -> None:
    answer = ask(app, "POST", "/wallet/nonces", content=pieces(MAX_JSON_BYTES // 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 40, "٣"])
def test_a_length_that_is_no_number_is_refused(app: FastAPI, length: str) -> None:
    headers = [(b"content-length", length.encode())]
    assert ask(app, "POST", "/x", content=b"", headers=dict(headers)).status_code in (400, 413)  # type: ignore[arg-type]


def test_a_sender_who_stops_is_given_up(app: FastAPI) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    assert ask(app, "POST", "/fhir", content=stalled()).status_code == 408


@pytest.mark.parametrize(
    ("path", "max_bytes"),
    [
        ("/wallet/nonces", 1 << 20),
        ("/fhir", 4 << 20),
        ("/fhir/Observation", 4 << 20),
        ("/fhirx", 1 << 20),
        ("/api/ingest/dicom", 4 << 20),
        ("/exchange/contributions", 4 << 20),
    ],
)
def test_only_routes_that_take_records_in_take_large_bodies(path: str, max_bytes: int) -> None:
    assert LIMITS.max_bytes(path) == max_bytes
