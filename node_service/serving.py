"""Serving a node over HTTP until it is told to stop."""

from __future__ import annotations

import logging
from typing import Final

import uvicorn

from node_service.api.server_protocol import BoundedHttpProtocol
from node_service.composition import RunningNode, build
from node_service.json_lines import JsonLines
from node_service.process_memory import forbid_core_files, give_memory_back
from node_service.settings import Settings

MAX_CONNECTIONS: Final = 2048
GRACEFUL_STOP_S: Final = 3
KEEP_ALIVE_S: Final = 20


def serve(settings: Settings) -> None:
    """Serve the node that the settings describe; returns after an orderly stop (SIGINT, SIGTERM).

    Raises:
        Invalid, Conflict, Unavailable: core files cannot be forbidden, or as :func:`node_service.composition.build`.
    """
    forbid_core_files()
    give_memory_back()
    _log_json_lines()
    server(build(settings)).run()


def server(running: RunningNode, *, host: str | None = None, port: int | None = None) -> uvicorn.Server:
    """The server of a node, which starts and stops its background work with it."""
    settings = running.node.settings
    return uvicorn.Server(
        uvicorn.Config(
            running.app,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            loop="uvloop",
            http=BoundedHttpProtocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACEFUL_STOP_S,
        )
    )


def _log_json_lines() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
