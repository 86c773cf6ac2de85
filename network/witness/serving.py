"""Running a witness: one thread that follows the blocks, one server for the questions."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from domain.errors import Unavailable
from domain.ports import Clock
from network.witness.http import build_app
from network.witness.witness import Witness

MAX_CONNECTIONS: Final = 512
KEEP_ALIVE_S: Final = 20
GRACEFUL_STOP_S: Final = 3
WAIT_S: Final = 0.5
PAUSE_S: Final = 0.5
_LOG = logging.getLogger(__name__)


class Following:
    """The thread that calls ``step``; it outlives a peer that is down, and rests for good at an alarm."""

    def __init__(self, witness: Witness, clock: Clock) -> None:
        self._witness, self._clock = witness, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="yilian-witness", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the batch that is being verified."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                due = self._witness.step(self._clock.now())
                if due > self._clock.now():
                    self._witness.wait(WAIT_S)
            except Unavailable as error:
                _LOG.warning("the witness waits: %s", error.reason)
                self._stop.wait(PAUSE_S)
            except Exception as error:  # noqa: BLE001 - the alarm stands; the server goes on to say so
                place = getattr(error, "place", "")
                _LOG.error("ALARM: the witness signs nothing more: %s at %s", type(error).__name__, place)
                return

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Follow the blocks as long as the server runs."""
        self.start()
        try:
            yield
        finally:
            self.stop()


def server(witness: Witness, clock: Clock, *, host: str, port: int, protocol: type[asyncio.Protocol]) -> uvicorn.Server:
    """The server of a witness, which follows the blocks as long as it runs.

    Args:
        protocol: HTTP with a bounded head: without bounds, slow senders take all connections, and releases stop
            everywhere for want of a fresh answer.
    """
    app = build_app(witness, lifespan=Following(witness, clock).lifespan)
    config = uvicorn.Config(
        app, host=host, port=port, http=protocol, ws="none", lifespan="on", access_log=False, log_config=None,
        server_header=False, proxy_headers=False, limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GRACEFUL_STOP_S,
    )  # fmt: skip
    return uvicorn.Server(config)
