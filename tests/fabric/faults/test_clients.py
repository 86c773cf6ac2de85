"""Clients of the ledger alone, without nodes: the gateway's peer dies while they submit; a hundred want one drawer."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from domain import jcs
from domain.errors import NotFound, OutcomeUnknown, Unavailable
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import SettableClock
from tests.conformance.ledger.fabric_adapter import CONTRACT
from tests.fabric.faults.facts import Facts, longest_gap_s
from tests.fabric.faults.striking import measured
from tests.fabric.networks import running_network

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
WRITERS = 100
SUBMITTERS = 8
HOT = "hot"
CONFLICT = "MVCC_READ_CONFLICT"
CONTEND_S = 20.0
DECISION_TIMEOUT_S = 120.0
HOLD_S = 4.0
PAUSE_S = 0.2


@pytest.fixture(scope="module")
def network(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    with running_network(tmp_path_factory.mktemp("clients"), binaries, contract=CONTRACT) as running:
        yield running


@pytest.fixture
def ledgers(network: NativeNetwork, tmp_path: Path) -> Iterator[list[FabricLedger]]:
    """The channel as each hospital sees it."""
    with ExitStack() as stack:
        opened = []
        for organization in network.topology.organizations:
            folder = tmp_path / organization.name
            folder.mkdir()
            connection = Connection.read(network.connection_file(organization.msp))
            opened.append(stack.enter_context(FabricLedger(connection, SettableClock(), os.urandom, folder)))
        yield opened


def test_when_the_gateway_s_peer_dies_its_clients_go_on_through_others(
    network: NativeNetwork, ledgers: list[FabricLedger]
) -> None:
    ledger, victim = ledgers[0], network.topology.organizations[0].process("peer")
    facts, ending = Facts(), threading.Event()

    def submit_again_and_again(number: int) -> None:
        written = 0
        while not ending.is_set():
            drawer, begun = f"submitter-{number}-{written}", time.monotonic()
            try:
                facts.committed[ledger.submit("Put", arguments(drawer, drawer))] = drawer
            except (Unavailable, OutcomeUnknown) as error:
                facts.troubles[error.reason] += 1
                continue  # the same drawer again
            facts.answered("submitted", begun)
            written += 1

    with ThreadPoolExecutor(SUBMITTERS) as pool:
        done = [pool.submit(submit_again_and_again, number) for number in range(SUBMITTERS)]
        time.sleep(HOLD_S)
        killed = time.monotonic()
        network.kill(victim)
        facts.wait_for(["submitted"], killed + 1.0, DECISION_TIMEOUT_S)
        time.sleep(HOLD_S)
        is_down = time.monotonic()
        network.start(victim)
        time.sleep(HOLD_S)
        ending.set()
    assert [one.exception() for one in done] == [None] * SUBMITTERS
    meanwhile = sum(killed < answer.begun and answer.at < is_down for answer in facts.answers)
    assert meanwhile >= SUBMITTERS
    measured({
        "fault": "gateway peer while submitting", "submitted_while_down": meanwhile, "submitters": SUBMITTERS,
        "longest_gap_s": round(longest_gap_s(facts.answers, ["submitted"], killed), 1),
        "told_to_retry": dict(facts.troubles),
    })  # fmt: skip
    for tx_id in facts.committed:
        assert decided(ledger, tx_id) == "VALID"
    check_on_every_peer(ledgers, {drawer: drawer for drawer in facts.committed.values()})


def test_of_a_hundred_writers_each_is_told_the_truth_about_hot_and_cold_keys(ledgers: list[FabricLedger]) -> None:
    codes: Counter[str] = Counter()
    told: dict[int, bool] = {}
    end = time.monotonic() + CONTEND_S

    def write(number: int) -> None:
        ledger = ledgers[number % len(ledgers)]
        assert commit(ledger, "Put", arguments(f"cold-{number}", f"{number}"), codes) == "VALID"
        code = CONFLICT
        while code == CONFLICT and time.monotonic() < end:
            code = commit(ledger, "Append", arguments(HOT, token(number)), codes)
        told[number] = code == "VALID"

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    hot = check_on_every_peer(ledgers, {f"cold-{number}": f"{number}" for number in range(WRITERS)}, HOT)
    expected = Counter({number: int(is_in) for number, is_in in told.items()})
    assert {number: hot.count(token(number)) for number in range(WRITERS)} == expected
    assert len(hot) == len(token(0)) * sum(told.values())
    assert set(codes) <= {"VALID", CONFLICT}
    assert codes[CONFLICT] > 0
    assert any(told.values())
    measured({"case": f"{WRITERS} writers", "codes": dict(codes), "hot_writes": sum(told.values())})


def commit(ledger: FabricLedger, name: str, given: bytes, codes: Counter[str]) -> str:
    """The validation code of a write; where nothing was broadcast it is tried again."""
    while True:
        try:
            tx_id = ledger.submit(name, given)
        except Unavailable:
            time.sleep(PAUSE_S)
            continue
        except OutcomeUnknown as error:
            tx_id = error.tx_id
        code = decided(ledger, tx_id)
        codes[code] += 1
        return code


def decided(ledger: FabricLedger, tx_id: str) -> str:
    """The code of a transaction, once the own peer has it."""
    return eventually(lambda: _code(ledger, tx_id), f"no decision about {tx_id}")


def _code(ledger: FabricLedger, tx_id: str) -> str | None:
    status = ledger.status(tx_id)
    return None if status is None else status.code


def check_on_every_peer(ledgers: list[FabricLedger], drawers: dict[str, str], also: str = "") -> str:
    """Each hospital's own peer has these texts, and the same text in the drawer ``also``; gives that."""
    height = max(ledger.height() for ledger in ledgers)
    texts = set()
    for ledger in ledgers:
        assert ledger.wait_for_block(height - 1, DECISION_TIMEOUT_S)
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            found = list(pool.map(lambda drawer, of=ledger: read(of, drawer), drawers))
        assert dict(zip(drawers, found, strict=True)) == drawers
        texts.add(read(ledger, also) if also else "")
    (text,) = texts
    return text


def read(ledger: FabricLedger, drawer: str) -> str:
    """What a hospital's own peer has in a drawer."""
    try:
        return str(eventually(lambda: ledger.evaluate("Read", {"drawer": drawer}), f"no answer about {drawer}"))
    except NotFound:
        return ""


def eventually(ask: Callable[[], object], otherwise: str) -> str:
    """The first answer that is one; peers under this load are asked again."""
    deadline = time.monotonic() + DECISION_TIMEOUT_S
    while True:
        try:
            if answer := ask():
                return str(answer)
        except Unavailable:
            pass
        assert time.monotonic() < deadline, otherwise
        time.sleep(PAUSE_S)


def arguments(drawer: str, text: str) -> bytes:
    return jcs.canonical({"drawer": drawer, "text": text})


def token(number: int) -> str:
    """Of one length, and in no other's."""
    return f"<{number:03d}>"
