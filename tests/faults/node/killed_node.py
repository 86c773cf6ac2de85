"""A node that dies at one step of taking in a grant: ``python -m tests.faults.node.killed_node STEP``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from node_service.ledger_sync import submission
from node_service.serving import serve
from node_service.settings import Settings
from node_service.sharing import consents

STEPS = ("before-keeping", "after-keeping", "after-broadcast", "after-commit", "before-answer")


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


if __name__ == "__main__":
    _set(sys.argv[1])
    serve(Settings.from_environment())
