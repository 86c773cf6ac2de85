"""Waiting with a deadline: nothing here waits for ever, and what did not happen in time says why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from domain.errors import Unavailable

POLL_S: Final = 0.05
_T = TypeVar("_T")


def wait_for(attempt: Callable[[], _T | None], timeout_s: float, what: str, *, poll_s: float = POLL_S) -> _T:
    """Call ``attempt`` until it returns something that is true; an ``Unavailable`` from it counts as "not yet".

    Raises:
        Unavailable: not within ``timeout_s``; the detail ends with the last reason.
    """
    deadline, reason = time.monotonic() + timeout_s, ""
    while True:
        try:
            if found := attempt():
                return found
        except Unavailable as error:
            reason = f": {error}"
        if time.monotonic() >= deadline:
            raise Unavailable(f"{what} did not happen within {timeout_s:.0f} s{reason}", reason="deadline")
        time.sleep(poll_s)
