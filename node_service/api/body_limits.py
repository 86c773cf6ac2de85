"""Bounds on request bodies, while they stream in: bytes of one and of all, whatever Content-Length says, and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node_service.api.held_bytes import HeldBytes
from node_service.api.problems import answer, problem
from node_service.cda import header_xml
from node_service.documents import pdf_file
from node_service.fhir import json_text

MAX_JSON_BYTES: Final = 1 << 20
MAX_SEALED_JSON_BYTES: Final = 16 << 20
"""Contributions carry a sealed object in base64url."""

MAX_FHIR_BYTES: Final = json_text.MAX_BYTES
FHIR_BYTES_PER_BYTE: Final = 6
"""What a byte of FHIR takes while it is read, parsed, checked and sealed (measured with one long string)."""

_DOCUMENTS: Final = {
    "/api/ingest/cda": (header_xml.MAX_DOCUMENT_BYTES, 5),
    "/api/ingest/pdf": (pdf_file.MAX_DOCUMENT_BYTES, 3),
}
"""Of each route the largest body, and what a byte of it takes while it is read and sealed (measured)."""

MAX_HELD_FHIR_BYTES: Final = FHIR_BYTES_PER_BYTE * MAX_FHIR_BYTES
MAX_HELD_JSON_BYTES: Final = 64 << 20
"""Bodies of routes that read before they know who asks."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large and how slow a body may be.

    Attributes:
        max_upload_bytes: for records that are taken in; other routes have the limits of this module.
        grace_s: time for the first bytes, and the slack at any moment.
        min_bytes_per_s: slower than this in the mean, and the body is given up (a slow sender holds a connection).
        patience_s: how long a body waits for room while others take all there is.
    """

    max_upload_bytes: int
    grace_s: float = 15.0
    min_bytes_per_s: int = 4096
    patience_s: float = 60.0

    def max_bytes(self, path: str) -> int:
        """The largest body on a path."""
        if path in _DOCUMENTS:
            return min(_DOCUMENTS[path][0], self.max_upload_bytes)
        if _is_fhir(path):
            return min(MAX_FHIR_BYTES, self.max_upload_bytes)
        if path.startswith("/api/ingest/"):
            return self.max_upload_bytes
        if path.endswith("/contributions"):
            return min(MAX_SEALED_JSON_BYTES, self.max_upload_bytes)
        return min(MAX_JSON_BYTES, self.max_upload_bytes)


class BodyLimit:
    """ASGI middleware that enforces :class:`BodyLimits`."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._fhir = HeldBytes(MAX_HELD_FHIR_BYTES, patience_s=limits.patience_s)
        self._json = HeldBytes(MAX_HELD_JSON_BYTES, patience_s=limits.patience_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a body beyond the bounds ends as 413, 408 or 503."""
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
        held, weight = self.counted(scope["path"])
        expected = int(length) * weight if held is self._fhir else 0
        body = _Body(receive, max_bytes, self._limits, held, weight, expected)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.give_back()

    def counted(self, path: str) -> tuple[HeldBytes | None, int]:
        """Where the bytes of a body are counted, and how often; streams into the store are not held."""
        if _is_fhir(path):
            return self._fhir, FHIR_BYTES_PER_BYTE
        if path in _DOCUMENTS:
            return self._fhir, _DOCUMENTS[path][1]
        return (None, 0) if path.startswith("/api/ingest/") else (self._json, 1)


class _Body:
    """Counts and times one body.

    Room for a large one is taken as a whole before its first piece is read: many at once, each with a part of the room
    and none with the rest, would wait for one another until all are refused. Routes that read before they know who asks
    count piece by piece, so that an announced length alone takes nothing from anybody.
    """

    def __init__(
        self, receive: Receive, max_bytes: int, limits: BodyLimits, held: HeldBytes | None, weight: int, expected: int
    ) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._limits = limits
        self._received = 0
        self._waited_s = 0.0
        self._complete = False
        self._held = held
        self._weight = weight
        self._expected = expected
        self._taken = 0

    def give_back(self) -> None:
        """The request is done: nothing of its body is held any more."""
        if self._held is not None:
            self._held.give(self._taken)

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        await self._take(self._expected)
        message = await self._in_time()
        if message["type"] != "http.request":
            return message
        count = len(message.get("body", b""))
        self._received += count
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise HTTPException(413)
        await self._take(self._received * self._weight)
        return message

    async def _take(self, in_all: int) -> None:
        more = in_all - self._taken
        if self._held is not None and more > 0:
            await self._held.take(more)
            self._taken += more

    async def _in_time(self) -> Message:
        """Only waiting for the sender counts: a node that is busy with the bytes does not blame the sender.

        Who sent fast may be slow later, but silent for ``grace_s`` at most.
        """
        begun = anyio.current_time()
        allowed_s = self._limits.grace_s + self._received / self._limits.min_bytes_per_s - self._waited_s
        try:
            with anyio.fail_after(min(max(allowed_s, 0), self._limits.grace_s)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._waited_s += anyio.current_time() - begun
        return message


def _is_fhir(path: str) -> bool:
    return path in ("/api/ingest/fhir", "/fhir") or path.startswith("/fhir/")


_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
_MAX_LENGTH_DIGITS: Final = 15
