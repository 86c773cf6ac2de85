"""The database's machine is gone for good and its replica takes over: nothing that was told is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scripts.postgresql import Server, replica_of, running_server
from tests.fabric.faults.consortium import AWAY, HOME
from tests.fabric.faults.facts import Facts
from tests.fabric.faults.striking import measured
from tests.faults.surviving import settled, survive
from tests.faults.workers.conftest import Shared
from tests.faults.workers.test_workers import wait
from tests.postgresql import require

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Pair:
    """Nodes that know both servers."""

    primary: Server
    replica: Server

    def url(self, database: str) -> str:
        """Whichever of them writes."""
        hosts = f"{self.primary.folder},{self.replica.folder}"
        return f"postgresql+psycopg://{self.primary.user}@/{database}?host={hosts}&target_session_attrs=read-write"


@pytest.fixture
def pair() -> Iterator[Pair]:
    require()
    with running_server(durable=True) as primary:
        for msp_id in (HOME, AWAY):
            primary.create(msp_id.lower())
        with replica_of(primary) as replica:
            yield Pair(primary, replica)


@pytest.fixture
def doubled(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    settings = {msp_id: {"DATABASE_URL": pair.url(msp_id.lower()), "WORKERS": "2"} for msp_id in (HOME, AWAY)}
    with settled(tmp_path_factory.mktemp("failover"), settings) as people:
        yield Shared(people, pair.replica)


def test_the_database_fails_over_to_its_replica(pair: Pair, doubled: Shared) -> None:
    def strike() -> None:
        struck = time.monotonic()
        pair.primary.stop("immediate")
        pair.replica.promote()
        wait(lambda: doubled.leader(HOME) is not None)
        measured({"fault": "database failed over", "takeover_s": round(time.monotonic() - struck, 1)})

    survive(doubled.people, Facts(), strike)
    assert doubled.leader(AWAY) is not None
