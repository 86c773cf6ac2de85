"""Hospitals at work that something strikes: what was told holds, and everything is answered again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import YilianError
from tests.fabric.faults.claims import check_backlog, check_entries, check_nobody_reads, check_stored_once
from tests.fabric.faults.consortium import NAMES, People, settle
from tests.fabric.faults.facts import Facts
from tests.fabric.faults.load import KINDS, LATER, load
from tests.faults.node.wholeness import check_node
from tests.scenario.actors import acting

RECOVERY_TIMEOUT_S: Final = 300.0


@contextmanager
def settled(folder: Path, settings: Mapping[str, Mapping[str, str]]) -> Iterator[People]:
    """Hospitals with these settings, and everybody at work."""
    with acting(folder / "network", NAMES, witnesses=True, settings=settings) as actors:
        yield settle(actors, folder / "wallet.json")


def survive(
    people: People,
    facts: Facts,
    strike: Callable[[], object],
    heal: Callable[[], object] | None = None,
    again: tuple[type[YilianError], ...] = LATER,
) -> None:
    """Strike under load, wait until all kinds of requests are answered again; every claim is checked.

    Args:
        heal: what ends the fault; until then, too, all kinds of requests have to be answered.
        again: how a request is refused that people make again.
    """
    with load(people, facts, again):
        strike()
        healed = time.monotonic()
        facts.wait_for(KINDS, healed, RECOVERY_TIMEOUT_S)
        if heal is not None:
            heal()
            healed = time.monotonic()
            facts.wait_for(KINDS, healed, RECOVERY_TIMEOUT_S)
    assert facts.findings == []
    check_backlog(people, healed)
    check_stored_once(people, facts)
    check_entries(people, facts)
    check_nobody_reads(people, facts)
    check_node(people.actors.home)
