"""A reverse proxy with TLS, as hospitals have them before a Kubo daemon, a node or a witness."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx
import uvicorn
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from chaincode.service.tls import TlsFiles

WAIT_S: Final = 30.0
_PER_HOP: Final = ("connection", "date", "host", "keep-alive", "te", "transfer-encoding", "upgrade")
"""Belong to one connection and are not passed on (RFC 9110, section 7.6.1); the server gives its own date."""


@dataclass(slots=True)
class TlsProxy:
    """Counts what goes through, as it goes through; keeps the tokens that it was told.

    Attributes:
        prefix: of the paths that it lets through; the others are answered 404.
        tokens: of all requests that came; of one without a token the empty string.
    """

    target: str
    prefix: str = "/"
    port: int = 0
    taken_bytes: int = 0
    given_bytes: int = 0
    tokens: set[str] = field(default_factory=set)
    _http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=WAIT_S))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.tokens.add(request.headers.get("Authorization", ""))
        passes = request.url.path.startswith(self.prefix)
        answer = await self._forwarded(request) if passes else Response(status_code=404)
        await answer(scope, receive, send)

    async def _forwarded(self, request: Request) -> Response:
        url = f"{self.target}{request.url.path}?{request.url.query}"
        has_body = any(name in request.headers for name in ("content-length", "transfer-encoding"))
        content = self._taken(request) if has_body else None
        call = self._http.build_request(request.method, url, headers=_passed_on(request.headers), content=content)
        try:
            answer = await self._http.send(call, stream=True)
        except httpx.HTTPError:
            return Response(status_code=502)  # who it stands before is down, or not there yet
        return StreamingResponse(
            self._given(answer),
            answer.status_code,
            _passed_on(answer.headers),
            background=BackgroundTask(answer.aclose),
        )

    async def _taken(self, request: Request) -> AsyncIterator[bytes]:
        async for piece in request.stream():
            self.taken_bytes += len(piece)
            yield piece

    async def _given(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        async for piece in answer.aiter_raw():
            self.given_bytes += len(piece)
            yield piece


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _PER_HOP}


@contextmanager
def tls_proxy(target: str, files: TlsFiles, prefix: str = "/") -> Iterator[TlsProxy]:
    """A running proxy on loopback."""
    proxy = TlsProxy(target, prefix)
    config = uvicorn.Config(
        proxy, host="127.0.0.1", port=0, lifespan="off", log_config=None,
        ssl_certfile=files.certificate, ssl_keyfile=files.key, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + WAIT_S
        while not server.started:
            assert time.monotonic() < deadline, "the proxy does not start"
            time.sleep(0.01)
        proxy.port = server.servers[0].sockets[0].getsockname()[1]
        yield proxy
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
