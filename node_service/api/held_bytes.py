"""A bound on the memory that all bodies take together while they are read and worked on.

Each connection alone is bounded; thousands of them, each one byte short of its bound, are bounded here. Whoever comes
when all is taken waits: the server stops reading that connection, so its sender waits too.
"""

from __future__ import annotations

import anyio
from starlette.exceptions import HTTPException


class HeldBytes:
    """Counts what is held; one event loop uses it."""

    def __init__(self, max_bytes: int, *, patience_s: float) -> None:
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._held = 0
        self._freed = anyio.Event()

    async def take(self, count: int) -> None:
        """Count bytes, once there is room for them.

        Raises:
            HTTPException: 503, there was no room in time.
        """
        try:
            with anyio.fail_after(self._patience_s):
                while self._held and self._held + count > self._max_bytes:
                    await self._freed.wait()
        except TimeoutError:
            raise HTTPException(503) from None
        self._held += count

    def give(self, count: int) -> None:
        """Bytes are no longer held."""
        self._held -= count
        self._freed.set()
        self._freed = anyio.Event()
