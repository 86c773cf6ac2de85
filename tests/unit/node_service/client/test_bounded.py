"""Answers that are read whole, or not at all."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from node_service.client.bounded import read_bounded


def test_a_connection_that_was_reset_as_it_was_opened_gives_no_answer() -> None:
    """As the HTTP library says it: the closed connection has no socket, and it asks this for its family."""

    def reset(_request: httpx.Request) -> httpx.Response:
        none: httpx.Response | None = None
        return none.extensions  # type: ignore[union-attr,return-value]

    async def ask() -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(reset)) as http:
            return await read_bounded(http, http.build_request("POST", "http://b.example/exchange/token"), 100)

    with pytest.raises(httpx.HTTPError, match="reset"):
        asyncio.run(ask())
