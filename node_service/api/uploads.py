"""Large bodies on their way into a use case that reads pieces: small ones at once, large ones as they come.

A sender of a large body holds a thread while sending, so these threads are apart from those that seal and open: slow
senders delay other large uploads and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

import anyio.from_thread
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request

from node_service.context import Node

MAX_BUFFERED_BYTES: Final = 4 << 20
PIECE_BYTES: Final = 1 << 20
"""Received bytes are handed on in pieces of about this size: each costs a turn of the event loop and of a thread."""

UPLOADS_AT_ONCE: Final = 8
Result = TypeVar("Result")


async def take_in(
    node: Node, limiter: CapacityLimiter, request: Request, call: Callable[[Iterator[bytes]], Result]
) -> Result:
    """Give a request's body to a synchronous use case piece by piece; nothing of it is written anywhere here.

    Raises:
        YilianError: whatever the use case raises.
        HTTPException: the body is too long or too slow.
    """
    stream = request.stream()
    begun: list[bytes] = []
    count = 0
    async for piece in stream:
        begun.append(piece)
        count += len(piece)
        if count > MAX_BUFFERED_BYTES:
            rest = _pieces(begun, stream)
            return await anyio.to_thread.run_sync(call, rest, limiter=limiter)
    return await node.in_crypto(call, iter((b"".join(begun),)))


async def take_in_streaming(
    limiter: CapacityLimiter, request: Request, call: Callable[[Iterator[bytes]], Result]
) -> Result:
    """The same, where even a small body may cause the work of a large one.

    Raises:
        YilianError: whatever the use case raises.
        HTTPException: the body is too long or too slow.
    """
    return await anyio.to_thread.run_sync(call, _pieces([], request.stream()), limiter=limiter)


def _pieces(begun: list[bytes], stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Runs in a worker thread; each further piece is asked from the event loop."""
    yield from begun
    begun.clear()
    while piece := anyio.from_thread.run(_next, stream):
        yield piece


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    """Nothing at the end."""
    parts: list[bytes] = []
    count = 0
    async for part in stream:
        parts.append(part)
        count += len(part)
        if count >= PIECE_BYTES:
            break
    return b"".join(parts)
