"""Answers that are opened piece by piece, each in the pool for sealing and opening."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

from fastapi.responses import StreamingResponse

from node_service.context import Node


async def stream_pieces(
    node: Node,
    pieces: Iterator[memoryview],
    media_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """Answer with the pieces; the first is made before the answer begins, so that refusals are still told as such.

    A failure in the middle cuts the connection: an incomplete answer never looks complete.

    Raises:
        YilianError: whatever making the first piece raises.
    """
    first = await node.in_crypto(_next, pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        piece = first
        try:
            while piece is not None:
                yield bytes(piece)
                piece = await node.in_crypto(_next, pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    return StreamingResponse(all_pieces(), status, headers, media_type)


def _next(pieces: Iterator[memoryview]) -> memoryview | None:
    return next(pieces, None)
