"""Around every request: an id, security headers, metrics, one structured log line, and a last net for errors.

Lines hold the route's template, never a path, a query, a header or a body; of an unexpected error they hold its type
and where it was raised, never its message: all of those may be patient data.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node_service.api.metrics import Metrics
from node_service.api.problems import answer, problem

LOG: Final = logging.getLogger("yilian.requests")
UNMATCHED: Final = "unmatched"
_MAX_FRAMES: Final = 12
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_DEFAULTS: Final = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""What a route may say otherwise: pages bring a policy of their own."""


class RequestLog:
    """ASGI middleware; the outermost."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, https: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._fixed = _HEADERS + (((b"strict-transport-security", b"max-age=31536000"),) if https else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = _Answering(send, self._fixed)
        begun = time.perf_counter()
        self._metrics.begun()
        try:
            await self._app(scope, receive, answering.send)
        except Exception as error:  # noqa: BLE001 - the last net: nothing may reach the server's own traceback log
            _log_failure(answering.request_id, error)
            if answering.status == 0:
                await answer(problem(error, scope["path"]), scope["path"])(scope, receive, answering.send)
        finally:
            self._end(scope, answering, time.perf_counter() - begun)

    def _end(self, scope: Scope, answering: _Answering, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.ended(scope["method"], route, answering.status, seconds)
        if LOG.isEnabledFor(logging.INFO):
            line = {
                "request": answering.request_id,
                "method": scope["method"] if route != UNMATCHED else "",
                "route": route,
                "status": answering.status,
                "ms": round(seconds * 1000, 2),
                "bytes": answering.sent_bytes,
            }
            LOG.info("%s", json.dumps(line))


class _Answering:
    """Adds headers to one answer and counts it."""

    def __init__(self, send: Send, fixed: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send = send
        self._fixed = fixed
        self.request_id = uuid4().hex
        self.status = 0
        self.sent_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            given = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _DEFAULTS.items() if name not in given]
            headers += [*self._fixed, (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


def _log_failure(request_id: str, error: BaseException) -> None:
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    line = {
        "request": request_id,
        "error": type(error).__name__,
        "frames": [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
    }
    LOG.error("%s", json.dumps(line))
