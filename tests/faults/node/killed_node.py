"""A node that dies at one step of a grant or of a record: ``python -m tests.faults.node.killed_node STEP``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import event

from node_service.documents import taking
from node_service.interactions import written
from node_service.ledger_sync import anchorer, follower, submission
from node_service.records import ingest, series
from node_service.serving import serve
from node_service.settings import Settings
from node_service.sharing import consents

GRANT_STEPS = ("before-keeping", "after-keeping", "after-broadcast", "after-commit", "before-answer")
RECORD_STEPS = (
    "before-the-objects", "after-the-objects", "before-the-commit", "after-the-commit", "before-the-append",
    "after-the-append", "before-the-anchor", "after-the-anchor", "before-the-projection",
)  # fmt: skip
"""From the sealed object to the anchor that the projection shows; the first four belong to the way in."""
ingest_has_begun = threading.Event()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dying(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            _die()
        call(*args, **kwargs)
        _die()

    return wrapped


def _set(step: str) -> None:
    keep, log, submit = consents._keep, consents._log, submission.submit
    match step:
        case "before-keeping" | "after-keeping":
            consents._keep = _dying(keep, before=step == "before-keeping")
        case "after-broadcast":
            submission.submit = _dying(submit, before=False)
        case "after-commit" | "before-answer":
            consents._log = _dying(log, before=step == "after-commit")
        case "before-the-objects" | "after-the-objects":
            _wrap("put_sealed", partial(_dying, before=step == "before-the-objects"))
        case "before-the-commit":
            _wrap("write_versions", partial(_dying, before=False))
        case "after-the-commit":
            _wrap("write_versions", _dying_after_the_commit)
        case "before-the-append" | "after-the-append":
            anchorer.append_outbox = _dying(anchorer.append_outbox, before=step == "before-the-append")
        case "before-the-anchor" | "after-the-anchor":
            _die_at(anchorer.Anchorer, "_submit", before=step == "before-the-anchor")
        case "before-the-projection":
            _die_at(follower.Follower, "_apply", before=True)


def _wrap(name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace what is called by all ways in: FHIR files, documents, series, a resource of its own."""
    for way in (ingest, taking, series, written):
        setattr(way, name, wrapper(getattr(way, name)))


def _dying_after_the_commit(call: Callable[..., Any]) -> Callable[..., Any]:
    """Dies when the transaction in which it was called is durable, before anybody is told."""

    def wrapped(node: Any, session: Any, *args: Any) -> Any:
        event.listen(session, "after_commit", lambda _session: _die())
        return call(node, session, *args)

    return wrapped


def _die_at(kind: type[Any], method: str, *, before: bool) -> None:
    """Dies there once a record waits, so that the node starts and stands first."""
    real = getattr(kind, method)

    def wrapped(self: Any, *args: Any) -> Any:
        if not ingest_has_begun.is_set():
            return real(self, *args)
        return _dying(real, before=before)(self, *args)

    setattr(kind, method, wrapped)


def _begun(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        ingest_has_begun.set()
        return call(*args, **kwargs)

    return wrapped


if __name__ == "__main__":
    _set(sys.argv[1])
    _wrap("write_versions", _begun)
    serve(Settings.from_environment())
