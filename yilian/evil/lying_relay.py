"""A hospital that answers every statement of a wallet with yes, and forgets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CLAIM = {"id": "a" * 26, "tx_id": "0" * 64, "block": 1}
_PROBLEM = {"type": "about:blank", "status": 404, "reason": "not-found"}


class _Liar(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(HTTPStatus.OK, "application/json", _CLAIM)

    def do_GET(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, "application/problem+json", _PROBLEM)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _answer(self, status: HTTPStatus, media_type: str, value: dict[str, object]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def lying_relay() -> Iterator[str]:
    """Serve on the loopback interface; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
