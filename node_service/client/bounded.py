"""Whole answers of other members' servers, never longer than allowed."""

from __future__ import annotations

from typing import Final

import httpx

from domain.errors import Tampered
from node_service.client.answers import MAX_PROBLEM_BYTES, UNPACKED, error_of, verify_unpacked

_ASKED_OF_A_SOCKET: Final = ("family", "getpeername", "getsockname")
"""What anyio 4 asks a connection's socket, which is None where the connection was reset as it was opened."""


async def read_bounded(http: httpx.AsyncClient, request: httpx.Request, max_bytes: int) -> bytes:
    """Send a request and read its answer.

    Raises:
        YilianError: what the other side answered.
        Tampered: the answer is longer than allowed, or packed, which nobody asked for.
        httpx.HTTPError: there is no answer.
    """
    request.headers.update(UNPACKED)
    try:
        answer = await http.send(request, stream=True)
    except AttributeError as error:
        if error.obj is not None or error.name not in _ASKED_OF_A_SOCKET:
            raise
        raise httpx.ReadError("the connection was reset", request=request) from error
    try:
        verify_unpacked(answer)
        failed = answer.status_code >= 300
        limit = MAX_PROBLEM_BYTES if failed else max_bytes
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > limit:
                raise Tampered("the other side's answer is longer than allowed", reason="answer-size")
        if failed:
            raise error_of(answer.status_code, bytes(content))
        return bytes(content)
    finally:
        await answer.aclose()
