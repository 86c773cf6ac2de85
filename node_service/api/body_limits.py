"""Bounds on request bodies, while they stream in: bytes of one and of all, whatever Content-Length says, and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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

WEIGHTS: Final = {"/api/ingest/cda": 5, "/api/ingest/pdf": 3}
"""What a byte of a document takes while it is read and sealed (measured)."""

MAX_HELD_FHIR_BYTES: Final = FHIR_BYTES_PER_BYTE * MAX_FHIR_BYTES
MAX_HELD_SMALL_BYTES: Final = MAX_HELD_FHIR_BYTES // 8
"""Room of their own for bodies of at most :data:`MAX_SMALL_BYTES`: they never wait for a large one."""

MAX_SMALL_BYTES: Final = 1 << 20
MAX_HELD_JSON_BYTES: Final = 64 << 20
"""Bodies of routes that read before they know who asks."""

ACCOUNT: Final = "account"
"""Where in the request's state stands who sends the body, once it is known."""

_MAX_BYTES: Final = {
    "/api/ingest/cda": header_xml.MAX_DOCUMENT_BYTES,
    "/api/ingest/pdf": pdf_file.MAX_DOCUMENT_BYTES,
}


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large and how slow a body may be.

    Attributes:
        max_upload_bytes: for records that are taken in; other routes have the limits of this module.
        grace_s: time for the first bytes, and the slack at any moment.
        min_bytes_per_s: slower than this in the mean, and the body is given up (a slow sender holds a connection).
        patience_s: how long a body waits for room while others take all there is.
        hurry_s: how long, in all, a body may wait for its sender while others wait for its room; with ``grace_s`` less
            than ``patience_s``, so that who waits outlasts the slowest sender.
    """

    max_upload_bytes: int
    grace_s: float = 15.0
    min_bytes_per_s: int = 4096
    patience_s: float = 60.0
    hurry_s: float = 30.0

    def max_bytes(self, path: str) -> int:
        """The largest body on a path."""
        if path in _MAX_BYTES:
            return min(_MAX_BYTES[path], self.max_upload_bytes)
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
        self._large = HeldBytes(MAX_HELD_FHIR_BYTES - MAX_HELD_SMALL_BYTES, patience_s=limits.patience_s)
        self._small = HeldBytes(MAX_HELD_SMALL_BYTES, patience_s=limits.patience_s)
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
        size = int(length) if b"content-length" in headers else max_bytes
        state = scope.setdefault("state", {})
        body = _Body(receive, max_bytes, self._limits, self._room(scope["path"], size), state)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.give_back()

    def _room(self, path: str, size: int) -> _Room | None:
        """Where the bytes of a body are counted, and how many; streams into the store are not held."""
        weight = FHIR_BYTES_PER_BYTE if _is_fhir(path) else WEIGHTS.get(path)
        if weight is None:
            return None if path.startswith("/api/ingest/") else _Room(self._json, None)
        return _Room(self._small if size <= MAX_SMALL_BYTES else self._large, size * weight)


@dataclass(frozen=True, slots=True)
class _Room:
    """Where a body is counted; ``reserved`` is taken before its first piece is read, None counts piece by piece."""

    held: HeldBytes
    reserved: int | None


class _Body:
    """Counts and times one body.

    Room for FHIR and documents is taken as a whole before the first piece is read: many at once, each with a part of
    the room and none with the rest, would wait for one another until all are refused. A body that does not say its
    length takes what the longest would. Routes that read before they know who asks count piece by piece, so that an
    announced length alone takes nothing from anybody.

    The attack: announce the longest body, send as slowly as is allowed, and nobody else finds room. It ends in four
    ways: small bodies have a room of their own; nobody holds more than half of a room with several bodies; who keeps
    others waiting is given up after ``hurry_s``; and accounts take turns, so that more connections of one account take
    nobody's turn. What is left: many accounts together delay large bodies.
    """

    def __init__(
        self, receive: Receive, max_bytes: int, limits: BodyLimits, room: _Room | None, state: Mapping[str, Any]
    ) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._limits = limits
        self._room = room
        self._state = state
        self._account: str | None = None
        self._received = 0
        self._waited_s = 0.0
        self._hurried_s = 0.0
        self._complete = False
        self._taken = 0

    def give_back(self) -> None:
        """The request is done: nothing of its body is held any more."""
        if self._room is not None:
            self._room.held.give(self._taken, self._account)

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        await self._take()
        message = await self._in_time()
        if message["type"] != "http.request":
            return message
        count = len(message.get("body", b""))
        self._received += count
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise HTTPException(413)
        await self._take()
        return message

    async def _take(self) -> None:
        if self._room is None:
            return
        in_all = self._received if self._room.reserved is None else self._room.reserved
        if in_all > self._taken:
            if self._room.reserved is not None:
                self._account = self._state.get(ACCOUNT)
            await self._room.held.take(in_all - self._taken, self._account)
            self._taken = in_all

    async def _in_time(self) -> Message:
        """Only waiting for the sender counts: a node that is busy with the bytes does not blame the sender.

        Who sent fast may be slow later, but silent for ``grace_s`` at most.
        """
        begun, in_the_way = anyio.current_time(), self._room is not None and self._room.held.is_waited_for
        allowed_s = self._limits.grace_s + self._received / self._limits.min_bytes_per_s - self._waited_s
        if in_the_way:
            allowed_s = min(allowed_s, self._limits.hurry_s - self._hurried_s)
        try:
            with anyio.fail_after(min(max(allowed_s, 0), self._limits.grace_s)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        waited_s = anyio.current_time() - begun
        self._waited_s += waited_s
        self._hurried_s += waited_s if in_the_way else 0
        return message


def _is_fhir(path: str) -> bool:
    return path in ("/api/ingest/fhir", "/fhir") or path.startswith("/fhir/")


_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
_MAX_LENGTH_DIGITS: Final = 15
