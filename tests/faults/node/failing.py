"""Ports whose n-th call fails, and only that one."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event

from node_service.database.engine import Database
from offchain.disk import Disk
from tests.faults.struck import struck_connection


@dataclass
class Countdown:
    """Fails the n-th of the calls that are counted while it is armed; ``failed`` tells whether there was an n-th."""

    left: int = 0
    failed: bool = False

    @contextmanager
    def armed(self, n: int) -> Iterator[None]:
        """Count from here on."""
        self.left, self.failed = n, False
        try:
            yield
        finally:
            self.left = 0

    def hit(self) -> bool:
        """One call; true if it is the one that fails."""
        if self.left <= 0:
            return False
        self.left -= 1
        self.failed = self.left == 0
        return self.failed


class FailingDisk(Disk):
    """The n-th write, fsync or syncfs fails as a medium does: too full, or with an I/O error."""

    __slots__ = ("_countdown", "_number")

    def __init__(self, countdown: Countdown, number: int = errno.EIO) -> None:
        self._countdown, self._number = countdown, number

    def write(self, descriptor: int, view: memoryview) -> int:
        self._maybe_fail()
        return super().write(descriptor, view)

    def fsync(self, descriptor: int) -> None:
        self._maybe_fail()
        super().fsync(descriptor)

    def syncfs(self, descriptor: int) -> None:
        self._maybe_fail()
        super().syncfs(descriptor)

    def _maybe_fail(self) -> None:
        if self._countdown.hit():
            raise OSError(self._number, os.strerror(self._number))


def fail_database(database: Database, countdown: Countdown) -> None:
    """Let the n-th statement or commit of a node's database fail as SQLite does on a bad medium."""

    def strike() -> None:
        if countdown.hit():
            raise sqlite3.OperationalError("disk I/O error")

    def connect(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        parameters["factory"] = struck_connection(strike)

    event.listen(database.engine, "do_connect", connect)
    database.engine.dispose()


MOST_CALLS: Final = 400
"""More calls than any use case here makes."""
