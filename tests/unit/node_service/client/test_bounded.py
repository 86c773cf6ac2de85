"""Answers that are read whole, or not at all."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from node_service.client.bounded import read_bounded

NO_SOCKET: socket.socket | None = None


def ask(failing: object) -> bytes:
    """Read an answer over a transport that asks an object for what it does not have."""

    def answered(_request: httpx.Request) -> httpx.Response:
        failing.getpeername()  # type: ignore[attr-defined]
        return httpx.Response(200)

    async def asked() -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
            return await read_bounded(http, http.build_request("POST", "http://b.example/exchange/token"), 100)

    return asyncio.run(asked())


def test_a_connection_that_was_reset_as_it_was_opened_gives_no_answer() -> None:
    """As the HTTP library says it: the closed connection has no socket, and it asks this for its peer."""
    with pytest.raises(httpx.ReadError, match="reset"):
        ask(NO_SOCKET)


def test_an_error_of_our_own_is_not_taken_for_a_reset_connection() -> None:
    with pytest.raises(AttributeError):
        ask(object())


def test_nor_is_anything_else_that_is_missing() -> None:
    def answered(_request: httpx.Request) -> httpx.Response:
        return NO_SOCKET.extensions  # type: ignore[union-attr, no-any-return]

    async def asked() -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
            return await read_bounded(http, http.build_request("GET", "http://b.example/x"), 100)

    with pytest.raises(AttributeError):
        asyncio.run(asked())
