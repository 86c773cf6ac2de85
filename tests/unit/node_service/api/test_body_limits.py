from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from node_service.api import problems
from node_service.api.body_limits import (
    FHIR_BYTES_PER_BYTE,
    MAX_FHIR_BYTES,
    MAX_HELD_FHIR_BYTES,
    MAX_HELD_JSON_BYTES,
    MAX_JSON_BYTES,
    BodyLimit,
    BodyLimits,
)
from node_service.api.held_bytes import HeldBytes
from node_service.cda import header_xml
from node_service.documents import pdf_file
from tests.unit.node_service.api.asgi import ask

LIMITS = BodyLimits(max_upload_bytes=4 << 20, grace_s=0.05, min_bytes_per_s=100_000, patience_s=0.05)


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


def test_a_sender_who_was_fast_may_not_stop_for_long(app: FastAPI) -> None:
    async def fast_then_stalled() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)  # at the least speed allowed this would be worth ten seconds of silence
        await asyncio.Event().wait()

    begun = time.monotonic()
    assert ask(app, "POST", "/fhir", content=fast_then_stalled()).status_code == 408
    assert time.monotonic() - begun < 9


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
        ("/api/ingest/fhir", 4 << 20),
        ("/api/ingest/dicom", 4 << 20),
        ("/exchange/contributions", 4 << 20),
    ],
)
def test_only_routes_that_take_records_in_take_large_bodies(path: str, max_bytes: int) -> None:
    assert LIMITS.max_bytes(path) == max_bytes


def test_a_fhir_body_has_a_bound_of_its_own() -> None:
    limits = BodyLimits(max_upload_bytes=1 << 30)
    assert limits.max_bytes("/fhir/Observation") == limits.max_bytes("/api/ingest/fhir") == MAX_FHIR_BYTES
    assert limits.max_bytes("/api/ingest/dicom") == 1 << 30


def test_a_document_has_the_bound_of_its_reader_and_fits_into_what_is_held_at_once() -> None:
    limits = BodyLimits(max_upload_bytes=1 << 30)
    assert limits.max_bytes("/api/ingest/cda") == header_xml.MAX_DOCUMENT_BYTES
    assert limits.max_bytes("/api/ingest/pdf") == pdf_file.MAX_DOCUMENT_BYTES
    for path in ("/api/ingest/cda", "/api/ingest/pdf"):
        held, weight = BodyLimit(FastAPI(), limits).counted(path)
        assert held is not None
        assert weight * limits.max_bytes(path) <= MAX_HELD_FHIR_BYTES


def test_bodies_wait_for_one_another_where_all_together_would_be_too_large() -> None:
    async def scene() -> list[int]:
        held, done = HeldBytes(10, patience_s=5), list[int]()

        async def body(number: int, count: int) -> None:
            await held.take(count)
            await asyncio.sleep(0)
            done.append(number)
            held.give(count)

        await asyncio.gather(body(1, 8), body(2, 8), body(3, 2))
        return done

    assert sorted(asyncio.run(scene())) == [1, 2, 3]


def test_a_body_that_finds_no_room_in_time_is_told_to_come_again() -> None:
    async def scene() -> None:
        held = HeldBytes(10, patience_s=0.01)
        await held.take(8)
        with pytest.raises(HTTPException) as refused:
            await held.take(8)
        assert refused.value.status_code == 503
        held.give(8)
        await held.take(8)

    asyncio.run(scene())


def test_large_bodies_that_come_at_once_do_not_wait_for_one_another_without_end() -> None:
    """Each of them has got a part of the room, and none would get the rest."""
    count = 2 + MAX_HELD_FHIR_BYTES // (FHIR_BYTES_PER_BYTE * LIMITS.max_upload_bytes)
    sent: list[int] = []

    async def read_whole(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        sent.append(1)

    async def scene() -> None:
        limit = BodyLimit(read_whole, replace(LIMITS, grace_s=30, patience_s=1))
        length = str(LIMITS.max_upload_bytes).encode()
        scope = {"type": "http", "path": "/fhir", "headers": [(b"content-length", length)]}
        await asyncio.gather(*(limit(scope, in_pieces(), ignored) for _ in range(count)), return_exceptions=True)

    def in_pieces(piece: int = 1 << 16) -> Receive:
        left = LIMITS.max_upload_bytes

        async def receive() -> Message:
            nonlocal left
            left -= piece
            await asyncio.sleep(0)
            return {"type": "http.request", "body": bytes(piece), "more_body": left > 0}

        return receive

    async def ignored(_message: Message) -> None:
        """Nothing is answered here."""

    asyncio.run(scene())
    assert len(sent) == count


def test_one_body_alone_always_finds_room() -> None:
    asyncio.run(HeldBytes(10, patience_s=0.01).take(11))


def test_an_answered_request_holds_nothing(app: FastAPI) -> None:
    for _ in range(MAX_HELD_JSON_BYTES // MAX_JSON_BYTES + 2):
        assert ask(app, "POST", "/x", content=bytes(MAX_JSON_BYTES)).status_code == 200
