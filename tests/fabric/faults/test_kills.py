"""Kill −9 of one process after another of a Fabric network under load; after each, everything that was told holds.

The tests share hospitals and what was acknowledged; each leaves every process running.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from domain.errors import OutcomeUnknown, Unavailable
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.fabric.faults.claims import check_backlog, check_nothing_readable
from tests.fabric.faults.consortium import AWAY, CANARY, HOME, RESOURCES, THIRD, Consortium, consortium, person
from tests.fabric.faults.striking import Struck
from tests.faults.counts import repetitions
from tests.faults.node.test_kill import check_granted, choose, grant_until_told, restart, start_dying
from yilian.demo.network import Hospital

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
KILLS = repetitions(1, 20)
QUORUM_LOST_S = repetitions(8, 600)
RANDOM_KILLS_S = repetitions(60, 150)
LONGEST_PAUSE_S = 4.0
DIES_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def struck(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    with consortium(tmp_path_factory.mktemp("struck")) as running:
        yield Struck(running, tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize("_time", range(KILLS))
def test_the_leader_of_the_ordering_nodes_is_killed(struck: Struck, _time: int) -> None:
    fabric = struck.consortium.fabric
    victim = fabric.wait_leader().process("orderer")
    struck.survive("ordering leader", lambda: fabric.kill(victim), lambda: fabric.start(victim))


def test_the_quorum_of_ordering_nodes_is_lost_and_comes_back(struck: Struck) -> None:
    fabric = struck.consortium.fabric
    leader = fabric.wait_leader()
    followers = [item for item in fabric.topology.organizations if item != leader]
    lost = [item.process("orderer") for item in (leader, followers[0])]
    struck.survive(
        "ordering quorum",
        lambda: kill(fabric, lost),
        lambda: start(fabric, lost),
        hold_s=QUORUM_LOST_S,
    )


@pytest.mark.parametrize("_time", range(KILLS))
@pytest.mark.parametrize(
    ("whose", "untouched"), [(HOME, THIRD), (AWAY, THIRD), (THIRD, AWAY)], ids=["custodian", "reader", "third"]
)
def test_a_peer_is_killed(struck: Struck, whose: str, untouched: str, _time: int) -> None:
    """The custodian's own peer is the gateway of its submissions, the reader's that of its."""
    fabric, victim = struck.consortium.fabric, struck.consortium.process("peer", whose)
    struck.survive(f"peer of {whose}", lambda: fabric.kill(victim), lambda: fabric.start(victim), untouched=untouched)


@pytest.mark.parametrize("_time", range(KILLS))
@pytest.mark.parametrize("whose", [HOME, AWAY], ids=["custodian", "reader"])
def test_a_contract_service_is_killed_amid_transactions(struck: Struck, whose: str, _time: int) -> None:
    fabric, victim = struck.consortium.fabric, struck.consortium.process("contract", whose)
    struck.survive(f"contract of {whose}", lambda: fabric.kill(victim), lambda: fabric.start(victim))


def test_everything_is_killed_and_started_again(struck: Struck) -> None:
    running = struck.consortium
    struck.survive("everything", lambda: kill_everything(running), lambda: start_everything(running), hold_s=0.0)


def test_a_node_killed_between_submit_and_commit_anchors_every_record_once(struck: Struck) -> None:
    running, number = struck.consortium, next(struck.facts.numbers)
    archive = running.actors.archive
    start_dying(running.actors.home, "after-the-anchor")
    start_witness(running.actors.home)
    with suppress(Unavailable, OutcomeUnknown):  # the record may be acknowledged before it is anchored
        archive.ingest_fhir(person(number), source="his")
    check_died(running.actors.home)
    restart(running.actors.home)
    healed = time.monotonic()
    report = archive.ingest_fhir(person(number), source="his")
    assert len(report.stored) + report.unchanged == RESOURCES
    struck.facts.stored[number] = [ref.record for ref in report.stored]
    check_backlog(running, healed)
    struck.check()


def test_a_node_killed_between_submit_and_commit_of_a_grant_leaves_one_that_is_valid(struck: Struck) -> None:
    running = struck.consortium
    actors, wallet = running.actors, running.wallet
    choice = choose(actors, wallet)
    start_dying(actors.home, "after-broadcast")
    start_witness(actors.home)
    with pytest.raises(OutcomeUnknown):
        wallet.grant(HOME, choice, actors.away.url)
    check_died(actors.home)
    restart(actors.home)
    check_granted(actors, wallet, choice, grant_until_told(wallet, choice, actors.away.url))


def test_random_kills_of_any_process_one_after_another(struck: Struck) -> None:
    running = struck.consortium
    chance = random.Random(20260103)  # noqa: S311 - repeatable on purpose
    struck.survive(f"random kills for {RANDOM_KILLS_S} s", lambda: kill_at_random(running, chance), lambda: None)


def test_nothing_readable_was_written_by_anybody(struck: Struck) -> None:
    check_nothing_readable(struck.consortium, CANARY)


def start_witness(hospital: Hospital) -> None:
    assert hospital.witness is not None
    hospital.witness.start(hospital.environment)


def check_died(hospital: Hospital) -> None:
    assert hospital.process is not None
    assert hospital.process.wait(DIES_WITHIN_S) == -signal.SIGKILL


def kill(fabric: NativeNetwork, processes: Sequence[str]) -> None:
    for process in processes:
        fabric.kill(process)


def start(fabric: NativeNetwork, processes: Sequence[str]) -> None:
    for process in processes:
        fabric.start(process)


def kill_everything(running: Consortium) -> None:
    """Peers, ordering nodes, contracts, nodes, witnesses."""
    kill(running.fabric, running.fabric.processes)
    for hospital in running.hospitals:
        witness = hospital.witness.process if hospital.witness is not None else None
        for process in (hospital.process, witness):
            assert process is not None
            process.kill()
            process.wait()


def start_everything(running: Consortium) -> None:
    running.fabric.up()
    for hospital in running.hospitals:
        start_witness(hospital)
        hospital.start()
    for hospital in running.hospitals:
        hospital.wait_ready()


def kill_at_random(running: Consortium, chance: random.Random) -> None:
    """One process of the network or one node at a time, the ordering leader more often than others."""
    fabric, end = running.fabric, time.monotonic() + RANDOM_KILLS_S
    while time.monotonic() < end:
        match chance.choice(("leader", "any", "any", "node")):
            case "leader":
                victim = (fabric.leader() or fabric.topology.organizations[0]).process("orderer")
            case "any":
                victim = chance.choice(fabric.processes)
            case _:
                kill_node(running, chance)
                continue
        fabric.kill(victim)
        time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
        fabric.start(victim)


def kill_node(running: Consortium, chance: random.Random) -> None:
    """Kill a hospital's node and start it again."""
    hospital = chance.choice(running.hospitals)
    assert hospital.process is not None
    hospital.process.kill()
    hospital.process.wait()
    time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
    hospital.start()
    hospital.wait_ready()
