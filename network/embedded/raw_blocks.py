"""The blocks of an embedded ledger's file as raw bytes, read only: what a witness follows. No key is read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Tampered
from network.embedded.database import Database
from network.embedded.layout import Layout
from network.embedded.state import read_blocks, read_height

POLL_INTERVAL_S: Final = 0.02
_BLOCKS_AT_ONCE: Final = 16


class RawBlockFile:
    """A :class:`network.verifier.source.RawBlocks` over the folder of an embedded ledger.

    Raises:
        Invalid, Unavailable: as :class:`network.embedded.database.Database`.
    """

    def __init__(self, directory: Path) -> None:
        self._database = Database(Layout(directory).database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def height(self) -> int:
        """The number of blocks."""
        with self._reading() as connection:
            return read_height(connection)

    def blocks(self, start: int) -> Iterator[bytes]:
        """The blocks from ``start`` that exist now.

        Raises:
            Tampered: a block is missing.
        """
        number, end = start, self.height()
        while number < end:
            with self._reading() as connection:
                stored = read_blocks(connection, number, min(_BLOCKS_AT_ONCE, end - number))
            for found, raw in stored:
                if found != number:
                    break
                yield raw
                number += 1
            if not stored or stored[-1][0] != number - 1:
                raise Tampered("a block is missing", reason="missing-block", place=f"block {number}")

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Wait until the channel is higher than ``height`` or the time is over; True if it is."""
        with self._reading() as connection:
            return wait_for_height(connection, height, timeout_s)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._database.connection() as connection:
            connection.execute("PRAGMA query_only=ON")
            yield connection


def wait_for_height(connection: sqlite3.Connection, height: int, timeout_s: float) -> bool:
    """Wait until there are more than ``height`` blocks or the time is over; True if there are.

    Asks SQLite every 20 ms whether anybody committed (``PRAGMA data_version``, no disk access) and only then reads.
    """
    deadline = time.monotonic() + timeout_s
    seen = None
    while True:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != seen and read_height(connection) > height:
            return True
        seen = version
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(POLL_INTERVAL_S, left))
