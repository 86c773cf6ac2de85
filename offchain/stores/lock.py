"""A lock over all processes of a machine, waited for with a deadline."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from offchain.disk import disk_errors

_PAUSE_S: Final = 0.02


@contextmanager
def locked(path: Path, mode: int, wait_s: float) -> Iterator[None]:
    """Hold ``fcntl.LOCK_SH`` or ``LOCK_EX`` on a file.

    Raises:
        Unavailable: others hold it for longer than ``wait_s``.
    """
    with disk_errors("opening the lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(descriptor, mode, time.monotonic() + wait_s)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def beside_others(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock together with others; whoever waits for :func:`alone` goes first.

    Raises:
        Unavailable: somebody holds or awaits it alone for longer than ``wait_s``.
    """
    with ExitStack() as held:
        with locked(_gate(path), fcntl.LOCK_SH, wait_s):
            held.enter_context(locked(path, fcntl.LOCK_SH, wait_s))
        yield


@contextmanager
def alone(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock alone; from now on nobody new comes in, so that those who overlap do not keep it out for ever.

    Raises:
        Unavailable: those who are in need longer than ``wait_s``.
    """
    with locked(_gate(path), fcntl.LOCK_EX, wait_s), locked(path, fcntl.LOCK_EX, wait_s):
        yield


def _gate(path: Path) -> Path:
    return path.with_name(f"{path.name}-gate")


def _wait(descriptor: int, mode: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("the store is busy", reason="busy") from None
            time.sleep(_PAUSE_S)
        else:
            return
