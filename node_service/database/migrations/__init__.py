"""Schema migrations (Alembic), run from code: an installed node needs neither ``alembic.ini`` nor the command."""

from __future__ import annotations

from typing import Final

from node_service.database.engine import Database
from node_service.database.standing import revision

NEWEST: Final = "0003"
"""The newest of ``versions``."""


def upgrade(url: str) -> None:
    """Bring the database to the newest schema, in one transaction; nothing happens if it is there already, or beyond.

    Raises:
        Conflict: the schema is newer than what this program works with.
        Unavailable: the database is locked, full or gone.
        Tampered: the file is damaged.
    """
    database = Database(url)
    try:
        with database.transaction() as session:
            connection = session.connection()
            before = revision(connection)
            if before != NEWEST:
                from node_service.database.migrations.running import run  # noqa: PLC0415 - imports Alembic, 0.2 s

                run(connection, before)
    finally:
        database.close()
