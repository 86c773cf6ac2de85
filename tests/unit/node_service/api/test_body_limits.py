from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from node_service.api import authentication, problems
from node_service.api.body_limits import (
    ACCOUNT,
    FHIR_BYTES_PER_BYTE,
    MAX_FHIR_BYTES,
    MAX_HELD_FHIR_BYTES,
    MAX_HELD_JSON_BYTES,
    MAX_JSON_BYTES,
    MAX_SMALL_BYTES,
    WEIGHTS,
    BodyLimit,
    BodyLimits,
)
from node_service.api.held_bytes import HeldBytes
from node_service.cda import header_xml
from node_service.documents import pdf_file
from node_service.staff.principal import StaffPrincipal
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
        assert WEIGHTS[path] * limits.max_bytes(path) <= MAX_HELD_FHIR_BYTES


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


def test_who_waits_longest_comes_first_whatever_its_size() -> None:
    """Small ones that come all the time would starve a large one that needs what several of them hold."""

    async def scene() -> list[str]:
        held, order = HeldBytes(10, patience_s=5), list[str]()
        await held.take(4, "early")

        async def body(name: str, count: int) -> None:
            await held.take(count, name)
            order.append(name)
            held.give(count, name)

        async with anyio.create_task_group() as waiting:
            for name, count in (("large", 8), ("small", 2), ("smaller", 1)):
                waiting.start_soon(body, name, count)
                await asyncio.sleep(0)
            assert order == []
            held.give(4, "early")
        return order

    assert asyncio.run(scene()) == ["large", "small", "smaller"]


def test_an_account_with_many_bodies_leaves_room_and_takes_turns_with_others() -> None:
    async def scene() -> list[str]:
        held, order = HeldBytes(10, patience_s=5), list[str]()

        async def body(account: str, count: int) -> None:
            await held.take(count, account)
            order.append(account)
            await asyncio.sleep(0.01)
            held.give(count, account)

        async with anyio.create_task_group() as waiting:
            for _ in range(6):
                waiting.start_soon(body, "greedy", 3)
            await asyncio.sleep(0.001)
            assert order == ["greedy"]  # a second one would be more than half of the room
            waiting.start_soon(body, "small", 2)
            waiting.start_soon(body, "large", 8)
            await asyncio.sleep(0.001)
            assert order == ["greedy", "small"]
        return order

    assert asyncio.run(scene())[:3] == ["greedy", "small", "large"], "not the five that came before"


def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    async def scene() -> None:
        held = HeldBytes(10, patience_s=5)
        await held.take(4, "a")
        large = asyncio.create_task(held.take(8, "b"))
        small = asyncio.create_task(held.take(2, "c"))
        await asyncio.sleep(0.01)
        assert not small.done()
        large.cancel()
        await asyncio.wait_for(small, 1)
        held.give(2, "c")
        held.give(4, "a")
        await asyncio.wait_for(held.take(10, "d"), 1)

    asyncio.run(scene())


async def post(limit: BodyLimit, account: str, length: int | None, sent: AsyncIterator[bytes]) -> int:
    """The status of a body that is sent in pieces to a FHIR route, once somebody has signed in."""
    statuses = list[int]()
    headers = [(b"transfer-encoding", b"chunked") if length is None else (b"content-length", str(length).encode())]
    scope: Scope = {"type": "http", "path": "/fhir", "headers": headers, "state": {ACCOUNT: account}}

    async def receive() -> Message:
        piece = await anext(sent, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        """Nothing is answered here."""

    try:
        await limit(scope, receive, send)
        statuses.append(200)
    except HTTPException as refused:
        statuses.append(refused.status_code)
    return statuses[0]


def test_whoever_has_signed_in_is_the_account_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scope goes from the bound through the application to who authenticates, and back."""
    seen = list[object]()

    async def signed_in(scope: Scope, receive: Receive, _send: Send) -> None:
        await authentication.Staff()(Request(scope))
        await receive()

    async def take(_held: HeldBytes, _count: int, account: str | None = None) -> None:
        seen.append(account)

    class _Serving:
        def __init__(self) -> None:
            self.node = self

        async def in_database(self, *_: object) -> StaffPrincipal:
            return StaffPrincipal("member", frozenset({"clinician"}), "Wang")

    async def scene() -> None:
        headers = [(b"content-length", b"9"), (b"authorization", b"Bearer token")]
        scope: Scope = {"type": "http", "path": "/fhir", "headers": headers}
        await BodyLimit(signed_in, LIMITS)(scope, received, ignored)

    async def received() -> Message:
        return {"type": "http.request", "body": bytes(9), "more_body": False}

    async def ignored(_message: Message) -> None:
        """Nothing is answered here."""

    monkeypatch.setattr(HeldBytes, "take", take)
    monkeypatch.setattr(authentication, "services_of", lambda _request: _Serving())
    asyncio.run(scene())
    assert set(seen) == {"member"}


async def read_whole(_scope: Scope, receive: Receive, _send: Send) -> None:
    while (await receive())["more_body"]:
        pass


async def slowly(piece: int, every_s: float) -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(every_s)
        yield bytes(piece)


PATIENT = BodyLimits(MAX_FHIR_BYTES, grace_s=0.1, min_bytes_per_s=4096, patience_s=2, hurry_s=0.3)


def test_small_bodies_do_not_wait_for_a_large_one_that_comes_slowly() -> None:
    async def scene() -> tuple[list[int], float]:
        limit = BodyLimit(read_whole, PATIENT)
        slow = [
            asyncio.create_task(post(limit, "slow", MAX_FHIR_BYTES, slowly(4096, 0.02))),
            *(asyncio.create_task(post(limit, "slow", MAX_SMALL_BYTES, slowly(4096, 0.02))) for _ in range(20)),
        ]
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        small = [await post(limit, "writer", 1024, pieces(1)) for _ in range(20)]
        seconds = time.monotonic() - begun
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return small, seconds

    statuses, seconds = asyncio.run(scene())
    assert statuses == [200] * 20
    assert seconds < PATIENT.hurry_s


def test_a_large_body_that_keeps_others_waiting_for_its_sender_is_given_up() -> None:
    """One account sends as slowly as it may, on as many connections as it likes: others get their turn all the same."""

    async def scene() -> tuple[list[int], int]:
        limit = BodyLimit(read_whole, PATIENT)
        slow = [asyncio.create_task(post(limit, "slow", MAX_FHIR_BYTES, slowly(4096, 0.02))) for _ in range(30)]
        await asyncio.sleep(0.05)
        large = [await post(limit, "writer", MAX_FHIR_BYTES, pieces(40, 1 << 20)) for _ in range(2)]
        given_up = [one.result() for one in slow if one.done()]
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert set(given_up) <= {408, 503}
        return large, given_up.count(408)

    large, given_up = asyncio.run(scene())
    assert large == [200, 200]
    assert given_up >= 2


def test_a_slow_body_that_nobody_waits_for_may_take_its_time() -> None:
    async def sent() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(0.06)
            yield bytes(4096)

    async def scene() -> int:
        return await post(BodyLimit(read_whole, PATIENT), "slow", MAX_FHIR_BYTES, sent())

    assert asyncio.run(scene()) == 200


def test_a_body_that_does_not_say_its_length_waits_like_the_longest() -> None:
    async def scene() -> list[int]:
        limit = BodyLimit(read_whole, PATIENT)
        senders = (post(limit, str(n), None, pieces(20, 1 << 20)) for n in range(8))
        return list(await asyncio.gather(*senders))

    assert asyncio.run(scene()) == [200] * 8


def test_one_body_alone_always_finds_room() -> None:
    asyncio.run(HeldBytes(10, patience_s=0.01).take(11))


def test_an_answered_request_holds_nothing(app: FastAPI) -> None:
    for _ in range(MAX_HELD_JSON_BYTES // MAX_JSON_BYTES + 2):
        assert ask(app, "POST", "/x", content=bytes(MAX_JSON_BYTES)).status_code == 200
