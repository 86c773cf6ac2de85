"""SQLite connections that are struck before each statement and commit: what strikes decides whether it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any


def struck_connection(strike: Callable[[], None]) -> type[sqlite3.Connection]:
    """A connection class for ``sqlite3.connect``; ``strike`` raises what SQLite raises on a bad medium."""

    class Cursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Any:
            strike()
            return super().execute(*args)

        def executemany(self, *args: Any) -> Any:
            strike()
            return super().executemany(*args)

    class Struck(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            strike()
            super().commit()

    return Struck
