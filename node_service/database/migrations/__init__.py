"""Schema migrations (Alembic), run from code: an installed node needs neither ``alembic.ini`` nor the command."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, String, column, inspect, select, table

from node_service.database.engine import Database

NEWEST: Final = "0001"
"""The newest of ``versions``."""

_VERSION: Final = table("alembic_version", column("version_num", String))


def upgrade(url: str) -> None:
    """Bring the database to the newest schema, in one transaction; nothing happens if it is there already.

    Raises:
        Conflict: the database was written by a newer version of the node.
        Unavailable: the database is locked, full or gone.
        Tampered: the file is damaged.
    """
    database = Database(url)
    try:
        with database.transaction() as session:
            connection = session.connection()
            revision = _revision(connection)
            if revision != NEWEST:
                from node_service.database.migrations.running import run  # noqa: PLC0415 - imports Alembic, 0.2 s

                run(connection, revision)
    finally:
        database.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()
