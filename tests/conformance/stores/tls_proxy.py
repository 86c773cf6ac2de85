"""A reverse proxy with TLS before a Kubo daemon, as a hospital's own: it lets the RPC through and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
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


@dataclass(slots=True)
class TlsProxy:
    """Counts what goes through, as it goes through; keeps the tokens that it was told."""

    target: str
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
        is_rpc = request.url.path.startswith("/api/v0/")
        answer = await self._forwarded(request) if is_rpc else Response(status_code=404)
        await answer(scope, receive, send)

    async def _forwarded(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        url = f"{self.target}{request.url.path}?{request.url.query}"
        call = self._http.build_request(request.method, url, headers=headers, content=self._taken(request))
        answer = await self._http.send(call, stream=True)
        return StreamingResponse(self._given(answer), answer.status_code, background=BackgroundTask(answer.aclose))

    async def _taken(self, request: Request) -> AsyncIterator[bytes]:
        async for piece in request.stream():
            self.taken_bytes += len(piece)
            yield piece

    async def _given(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        async for piece in answer.aiter_raw():
            self.given_bytes += len(piece)
            yield piece


@contextmanager
def tls_proxy(target: str, files: TlsFiles) -> Iterator[TlsProxy]:
    """A running proxy on loopback."""
    proxy = TlsProxy(target)
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
