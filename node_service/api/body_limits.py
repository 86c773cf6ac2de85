"""Bounds on request bodies, while they stream in: bytes, whatever Content-Length says, and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node_service.api.problems import answer, problem

MAX_JSON_BYTES: Final = 1 << 20
MAX_SEALED_JSON_BYTES: Final = 16 << 20
"""Contributions carry a sealed object in base64url."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large and how slow a body may be.

    Attributes:
        max_upload_bytes: for records that are taken in; other routes have the limits of this module.
        grace_s: time for the first bytes, and the slack at any moment.
        min_bytes_per_s: slower than this in the mean, and the body is given up (a slow sender holds a connection).
    """

    max_upload_bytes: int
    grace_s: float = 15.0
    min_bytes_per_s: int = 4096

    def max_bytes(self, path: str) -> int:
        """The largest body on a path."""
        if path.startswith("/api/ingest/") or path == "/fhir" or path.startswith("/fhir/"):
            return self.max_upload_bytes
        if path.endswith("/contributions"):
            return min(MAX_SEALED_JSON_BYTES, self.max_upload_bytes)
        return min(MAX_JSON_BYTES, self.max_upload_bytes)


class BodyLimit:
    """ASGI middleware that enforces :class:`BodyLimits`."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a body beyond the bounds ends as 413 or 408."""
        headers = {name: value for name, value in scope.get("headers", ()) if name in _BODY_HEADERS}
        if scope["type"] != "http" or not headers:
            await self._app(scope, receive, send)
            return
        max_bytes = self._limits.max_bytes(scope["path"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS or int(length) > max_bytes:
            refused = HTTPException(413 if length.isdigit() else 400)
            await answer(problem(refused, scope["path"]), scope["path"])(scope, receive, send)
            return
        await self._app(scope, _Body(receive, max_bytes, self._limits).receive, send)


class _Body:
    """Counts and times one body."""

    def __init__(self, receive: Receive, max_bytes: int, limits: BodyLimits) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._limits = limits
        self._received = 0
        self._waited_s = 0.0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        message = await self._in_time()
        if message["type"] != "http.request":
            return message
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise HTTPException(413)
        return message

    async def _in_time(self) -> Message:
        """Only waiting for the sender counts: a node that is busy with the bytes does not blame the sender."""
        begun = anyio.current_time()
        allowed_s = self._limits.grace_s + self._received / self._limits.min_bytes_per_s - self._waited_s
        try:
            with anyio.fail_after(max(allowed_s, 0)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._waited_s += anyio.current_time() - begun
        return message


_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
_MAX_LENGTH_DIGITS: Final = 15
