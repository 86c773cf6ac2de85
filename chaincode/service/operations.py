"""Health and metrics over HTTP, on a port of their own: ``GET /health`` and ``GET /metrics``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from domain.errors import Unavailable

REQUEST_TIMEOUT_S: Final = 5
StartResponse = Callable[..., Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """No access log."""


class Operations:
    """Answers operators while the service runs.

    Args:
        is_serving: tells whether new transactions are taken; else health is 503.
    """

    def __init__(self, registry: CollectorRegistry, is_serving: Callable[[], bool]) -> None:
        self._registry = registry
        self._is_serving = is_serving
        self._server: WSGIServer | None = None

    def start(self, host: str, port: int) -> int:
        """Listen and answer; returns the port.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        try:
            self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Handler)
        except OSError as error:
            raise Unavailable("the address cannot be listened on", reason="address", place="operations") from error
        threading.Thread(target=self._server.serve_forever, name="contract-operations", daemon=True).start()
        return self._server.server_port

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environment: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._content(environment.get("PATH_INFO", ""))
        start(f"{status.value} {status.phrase}", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _content(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path != "/health":
            return HTTPStatus.NOT_FOUND, "application/json", b'{"status":"not-found"}'
        if self._is_serving():
            return HTTPStatus.OK, "application/json", b'{"status":"serving"}'
        return HTTPStatus.SERVICE_UNAVAILABLE, "application/json", b'{"status":"stopping"}'
