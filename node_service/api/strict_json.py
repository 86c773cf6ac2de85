"""JSON bodies are read strictly: UTF-8, no duplicate keys, no NaN, bounded depth (RFC 8259, RFC 7493).

They are read before anybody is authenticated, so what reading costs is bounded too: 16 MiB of small values would keep
the one loop that serves everybody busy for ten seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any, Final

import anyio.to_thread
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from domain import jcs
from domain.errors import Invalid
from node_service.api.body_limits import MAX_SEALED_JSON_BYTES

MAX_JSON_DEPTH: Final = 32
MAX_JSON_TOKENS: Final = 50_000
"""Strings, commas, opening brackets; the longest bodies are one sealed object or resource, which is one string."""

MAX_LOOP_BYTES: Final = 64 * 1024
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[{]', re.DOTALL)
"""A string that never ends is one token: else each of its escaped quotes would begin another search for the end."""


class StrictRequest(Request):
    """A request whose JSON is read by the product's own strict reader."""

    async def json(self) -> Any:
        """The body's JSON value.

        Raises:
            HTTPException: 400 caused by the ``Invalid`` that names the broken rule.
        """
        body = await self.body()
        try:
            return read_json(body) if len(body) <= MAX_LOOP_BYTES else await anyio.to_thread.run_sync(read_json, body)
        except Invalid as error:
            raise HTTPException(400) from error


class StrictRoute(APIRoute):
    """A route that reads JSON strictly; every router uses it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler on a :class:`StrictRequest`."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def read_json(body: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        Invalid: more than :data:`MAX_JSON_TOKENS` values, or as :func:`domain.jcs.load`.
    """
    beyond = next(islice(_TOKEN.finditer(body), MAX_JSON_TOKENS, None), None)
    if beyond is not None:
        place = f"byte {beyond.start()}"
        raise Invalid(f"the JSON has more than {MAX_JSON_TOKENS} values", reason="too-large", place=place)
    return jcs.load(body, max_bytes=MAX_SEALED_JSON_BYTES, max_depth=MAX_JSON_DEPTH)
