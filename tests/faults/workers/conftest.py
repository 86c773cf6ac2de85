"""PostgreSQL as in real work, and hospitals whose nodes are several processes over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from node_service.database.postgresql import LEADER_LOCK
from scripts.postgresql import Server, running_server
from tests.fabric.faults.consortium import AWAY, HOME, People
from tests.faults.surviving import settled
from tests.postgresql import require

WORKERS = {HOME: 3, AWAY: 2}
_HOLDING = (
    " FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND objid = %s AND granted AND datname = current_database()"
)
_LEADER = f"SELECT application_name{_HOLDING}"
_DROP = f"SELECT pg_terminate_backend(pid){_HOLDING}"
_ALL = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Shared:
    """People at hospitals whose nodes share databases of one server."""

    people: People
    server: Server

    def leader(self, msp_id: str) -> int | None:
        """The process that does a node's background work."""
        found = self._pids(msp_id, _LEADER, LEADER_LOCK)
        return found[0] if found else None

    def others(self, msp_id: str) -> list[int]:
        """The node's other processes."""
        return sorted(set(self._pids(msp_id, _ALL)) - {self.leader(msp_id)})

    def drop(self, msp_id: str) -> None:
        """End the session that holds the leader's lock, as a broken connection does."""
        with psycopg.connect(self.server.conninfo(msp_id.lower())) as connection:
            connection.execute(_DROP, (LEADER_LOCK,))

    def _pids(self, msp_id: str, query: str, *values: object) -> list[int]:
        with psycopg.connect(self.server.conninfo(msp_id.lower())) as connection:
            names = [name for (name,) in connection.execute(query.encode(), values or None)]
        return [int(name.split()[1]) for name in names if name.startswith("yilian-node ")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    require()
    with running_server(durable=True) as running:
        yield running


@pytest.fixture(scope="module")
def shared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    settings = {
        msp_id: {"DATABASE_URL": server.create(msp_id.lower()), "WORKERS": str(count)}
        for msp_id, count in WORKERS.items()
    }
    with settled(tmp_path_factory.mktemp("workers"), settings) as people:
        yield Shared(people, server)
