from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from node_service.api.uploads import MAX_BUFFERED_BYTES, PIECE_BYTES, take_in
from tests.unit.node_service.api.asgi import ask

PART = bytes(range(256)) * 256


class Inline:
    """As much of a node as a buffered body needs."""

    async def in_crypto(self, call: Any, *args: Any) -> Any:
        return call(*args)


def application(received: list[bytes]) -> FastAPI:
    app, node = FastAPI(), Inline()

    def use_case(pieces: Iterator[bytes]) -> int:
        received.extend(pieces)
        return sum(map(len, received))

    @app.put("/file")
    async def take(request: Request) -> int:
        return await take_in(node, CapacityLimiter(1), request, use_case)  # type: ignore[arg-type]

    return app


async def parts(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PART


@pytest.mark.parametrize("count", [0, 1, 7, MAX_BUFFERED_BYTES // len(PART)])
def test_a_small_body_is_one_piece(count: int) -> None:
    received: list[bytes] = []
    answer = ask(application(received), "PUT", "/file", content=parts(count))
    assert (answer.json(), received) == (count * len(PART), [PART * count])


@pytest.mark.parametrize("count", [MAX_BUFFERED_BYTES // len(PART) + 1, 100, 161])
def test_a_large_body_comes_whole_in_order_and_in_pieces_worth_a_turn(count: int) -> None:
    received: list[bytes] = []
    answer = ask(application(received), "PUT", "/file", content=parts(count))
    assert (answer.json(), b"".join(received)) == (count * len(PART), PART * count)
    later = received[MAX_BUFFERED_BYTES // len(PART) + 1 :]
    assert all(len(piece) == PIECE_BYTES for piece in later[:-1])


def test_a_sender_that_breaks_off_ends_the_use_case() -> None:
    received: list[bytes] = []

    async def broken() -> AsyncIterator[bytes]:
        async for part in parts(MAX_BUFFERED_BYTES // len(PART) + 5):
            yield part
        raise HTTPException(408)

    assert ask(application(received), "PUT", "/file", content=broken()).status_code == 408
    assert len(received) <= MAX_BUFFERED_BYTES // len(PART) + 1
