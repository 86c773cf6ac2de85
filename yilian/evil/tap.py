"""What somebody sees who reads along on the wallet's wire: tokens, and the statements that it sends."""

from __future__ import annotations

import json

import httpx

from node_service.client.transport import Transport

_TIMEOUT_S = 60.0
_SCHEME = "DPoP "


class Tap:
    """Connects a wallet, and keeps what passes."""

    def __init__(self) -> None:
        self._tokens: list[str] = []
        self._grants: dict[str, tuple[str, str]] = {}

    def connect(self, url: str) -> Transport:
        """A connection that is read along."""
        hooks = {"request": [self._see]}
        return Transport(
            url, http=httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False, event_hooks=hooks)
        )

    def token(self) -> str:
        """The newest token of the wallet."""
        return self._tokens[-1]

    def grant(self, grant: str) -> tuple[str, str]:
        """Text and signature of a grant that the wallet sent."""
        return self._grants[grant]

    def _see(self, request: httpx.Request) -> None:
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith(_SCHEME):
            self._tokens.append(authorization.removeprefix(_SCHEME))
        if request.method == "POST" and request.url.path == "/wallet/grants":
            body = json.loads(request.content)
            self._grants[json.loads(body["statement"])["id"]] = (body["statement"], body["signature"])
