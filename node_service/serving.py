"""Serving a node over HTTP until it is told to stop."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from multiprocessing import resource_tracker
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from domain.process_memory import forbid_core_files
from node_service.api.server_protocol import BoundedHttpProtocol
from node_service.composition import build
from node_service.json_lines import JsonLines
from node_service.process_memory import give_memory_back
from node_service.running import RunningNode
from node_service.settings import PREFIX, Settings

MAX_CONNECTIONS: Final = 2048
GRACEFUL_STOP_S: Final = 3
KEEP_ALIVE_S: Final = 20
_PR_SET_PDEATHSIG: Final = 1
_TELLING: Final = (PREFIX, "PG")
"""Beginnings of the variables that may hold a password: the settings, and libpq's own."""


def serve(settings: Settings) -> None:
    """Serve the node that the settings describe; returns after an orderly stop (SIGINT, SIGTERM).

    With several workers this process only watches them: who dies is replaced, and SIGHUP replaces one after the other.
    They read the settings from the environment.

    Raises:
        Invalid, Conflict, Unavailable: core files cannot be forbidden, or as :func:`node_service.composition.build`.
    """
    _prepare()
    if settings.workers == 1:
        server(build(settings)).run()
        return
    build(settings).resources.close()  # what is wrong is said here, once
    _start_tracker()
    config = _config(
        "node_service.serving:worker", settings.host, settings.port, factory=True, workers=settings.workers
    )
    Multiprocess(config, [config.bind_socket()]).run()


def worker() -> FastAPI:
    """The application of one of several processes, as uvicorn asks for it."""
    _prepare()
    _end_with_parent()
    return build(Settings.from_environment()).app


def server(running: RunningNode, *, host: str | None = None, port: int | None = None) -> uvicorn.Server:
    """The server of a node, which starts and stops its background work with it."""
    settings = running.node.settings
    return uvicorn.Server(
        _config(running.app, settings.host if host is None else host, settings.port if port is None else port)
    )


def _config(app: FastAPI | str, host: str, port: int, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
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
        **more,
    )


def _prepare() -> None:
    forbid_core_files()
    give_memory_back()
    _log_json_lines()


def _end_with_parent() -> None:
    """An orderly stop when the watching process dies, however it dies (prctl(2)): nobody else would stop this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _start_tracker() -> None:
    """Start what multiprocessing starts with the first worker: nobody can close that, so it is told nothing."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(_TELLING):
            del os.environ[name]
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.update(kept)


def _log_json_lines() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
