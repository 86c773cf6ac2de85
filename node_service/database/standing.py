"""What a database is: its kind, its schema, and which process of the node leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, String, column, inspect, select, table, text

from node_service.database.engine import Database

_VERSION: Final = table("alembic_version", column("version_num", String))
_LEADER: Final = text(
    "SELECT application_name, coalesce(host(client_addr), ''), client_addr IS NOT DISTINCT FROM inet_client_addr()"
    " FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND classid = 0 AND objid = :lock"
    " AND objsubid = 1 AND granted AND datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class Leader:
    """The process that does a node's background work.

    Attributes:
        process: as it names itself, with its number.
        address: from which it reached the server; empty: over a socket on the server's machine.
        is_here: whether it reached the server from where this process does.
    """

    process: str
    address: str
    is_here: bool


def revision(connection: Connection) -> str | None:
    """The schema's revision, None where there is none yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def leader(database: Database) -> Leader | None:
    """Who leads now; None: nobody, or no other process can, for the database is one process's alone.

    Raises:
        Unavailable: the database does not answer.
    """
    if not database.is_shared:
        return None
    from node_service.database.postgresql import LEADER_LOCK  # noqa: PLC0415 - as in Database

    with database.rows() as connection:
        found = connection.execute(_LEADER, {"lock": LEADER_LOCK}).first()
    return None if found is None else Leader(found[0], found[1], bool(found[2]))
