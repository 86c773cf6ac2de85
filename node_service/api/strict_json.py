"""JSON bodies are read strictly: UTF-8, no duplicate keys, no NaN, bounded depth (RFC 8259, RFC 7493)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from domain import jcs
from domain.errors import Invalid
from node_service.api.body_limits import MAX_SEALED_JSON_BYTES

MAX_JSON_DEPTH: Final = 32


class StrictRequest(Request):
    """A request whose JSON is read by the product's own strict reader."""

    async def json(self) -> Any:
        """The body's JSON value.

        Raises:
            HTTPException: 400 caused by the ``Invalid`` that names the broken rule.
        """
        try:
            return jcs.load(await self.body(), max_bytes=MAX_SEALED_JSON_BYTES, max_depth=MAX_JSON_DEPTH)
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
