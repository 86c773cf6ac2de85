"""A process that writes to an embedded ledger until it is killed, telling each acknowledged number on its output.

Arguments: directory, MSP id, and optionally the step at which it kills itself. The next number is learnt from the
ledger alone, as a node does after a crash.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain import jcs
from domain.errors import NotFound
from network.embedded import block_writer
from network.embedded.committer import Committer
from network.embedded.database import Database
from network.embedded.ledger import EmbeddedLedger
from tests.conformance.ledger.drawers import drawers

SEPARATOR = ","
FULL_DISK = "full-disk"


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def written(ledger: EmbeddedLedger, drawer: str) -> list[str]:
    """The numbers in a drawer, in the order in which they were written."""
    try:
        return str(ledger.evaluate("Read", {"drawer": drawer})).split(SEPARATOR)[:-1]
    except NotFound:
        return []


def write(ledger: EmbeddedLedger, drawer: str) -> None:
    """Appends the next number for ever; each is told when it is acknowledged."""
    number = len(written(ledger, drawer))
    while True:
        tx_id = ledger.submit("Append", jcs.canonical({"drawer": drawer, "text": f"{number}{SEPARATOR}"}))
        sys.stdout.write(f"{number} {tx_id}\n")
        sys.stdout.flush()
        number += 1


def fill_disk(directory: Path) -> None:
    """From here on no file of this process grows beyond what the write-ahead log is now and some pages more."""
    size = (directory / "ledger.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, resource.RLIM_INFINITY))


def die() -> None:
    """As the power does."""
    os.kill(os.getpid(), signal.SIGKILL)


def _die_before_the_block(self: Committer, envelopes: Sequence[bytes]) -> None:
    die()


def _die_between_block_and_state(*arguments: Any) -> None:
    die()


@contextmanager
def _die_before_the_commit(self: Database, *arguments: Any) -> Iterator[sqlite3.Connection]:
    with self.connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        die()


@contextmanager
def _die_after_the_commit(self: Database, *arguments: Any) -> Iterator[sqlite3.Connection]:
    with self.connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
        die()


STEPS: dict[str, tuple[Any, str, Any]] = {
    "before-the-block": (Committer, "commit", _die_before_the_block),
    "between-block-and-state": (block_writer, "_write_state", _die_between_block_and_state),
    "before-the-commit": (Database, "writing", _die_before_the_commit),
    "after-the-commit": (Database, "writing", _die_after_the_commit),
}


def main(directory: str, msp_id: str, step: str = "") -> None:
    """Arms the step, opens the ledger and writes."""
    if step in STEPS:
        target, name, replacement = STEPS[step]
        setattr(target, name, replacement)
    with EmbeddedLedger(Path(directory), msp_id, SystemClock(), os.urandom, contract=drawers) as ledger:
        if step == FULL_DISK:
            fill_disk(Path(directory))
        write(ledger, msp_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
