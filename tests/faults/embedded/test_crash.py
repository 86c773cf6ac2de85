"""Writers are killed or find the disk full: what they were told holds, nothing is doubled, the chain verifies."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from network.embedded.export import export
from network.embedded.founding import Founding, init
from network.embedded.ledger import EmbeddedLedger
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.folder import read_blocks
from tests.conformance.ledger.drawers import drawers
from tests.faults.counts import repetitions
from tests.faults.embedded.writer import FULL_DISK, STEPS, SystemClock, written

HOSPITALS = ("NorthMSP", "SouthMSP")
KILLS = int(os.environ.get("TESTS_KILLS", repetitions(3, 20)))
Start = Callable[..., "subprocess.Popen[str]"]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def founding(tmp_path: Path) -> Founding:
    return init(tmp_path / "ledger", "care", HOSPITALS, clock=SystemClock(), random=os.urandom)


@pytest.fixture
def start(founding: Founding) -> Iterator[Start]:
    """Starts a writer of one hospital; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def run(msp_id: str, *step: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.embedded.writer", str(founding.directory), msp_id, *step]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(timeout=30)


def acknowledged(process: subprocess.Popen[str], at_least: int) -> list[str]:
    """Reads acknowledgements, kills the process once there are enough, and reads what it still said before it died."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(at_least)]
    process.kill()
    lines.extend(process.stdout)
    process.wait(timeout=30)
    return [line for line in lines if line.endswith("\n")]


def check(founding: Founding, told: dict[str, list[str]]) -> None:
    """Whatever was told is in the ledger once, in order, and everything verifies independently."""
    with EmbeddedLedger(founding.directory, HOSPITALS[0], SystemClock(), os.urandom, contract=drawers) as ledger:
        for msp_id, lines in told.items():
            numbers = written(ledger, msp_id)
            assert numbers == [str(number) for number in range(len(numbers))]
            for line in lines:
                number, tx_id = line.split()
                assert number in numbers
                status = ledger.status(tx_id)
                assert status is not None
                assert status.valid
        height = ledger.height()
        assert len(list(ledger.blocks(0))) == height
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    out = founding.directory.parent / "out"
    assert export(founding.directory, out) == height
    replayer = ContractReplayer("yilian", lambda sequence: drawers)
    report = verify_chain(read_blocks(out), expected_genesis=bytes.fromhex(founding.genesis), replay=replayer)
    assert set(report.codes) == {"VALID"}


def test_two_processes_killed_again_and_again_lose_and_double_nothing(founding: Founding, start: Start) -> None:
    told: dict[str, list[str]] = {msp_id: [] for msp_id in HOSPITALS}
    for kill in range(KILLS):
        processes = {msp_id: start(msp_id) for msp_id in HOSPITALS}
        for msp_id, process in processes.items():
            told[msp_id].extend(acknowledged(process, at_least=5 + 7 * kill))
    assert min(len(lines) for lines in told.values()) >= 5 * KILLS
    assert len({line for lines in told.values() for line in lines}) == sum(len(lines) for lines in told.values())
    check(founding, told)


@pytest.mark.parametrize("before_it", range(2, 2 + repetitions(1, 20)))
@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_a_step_leaves_all_or_nothing(
    founding: Founding, start: Start, step: str, before_it: int
) -> None:
    told = acknowledged(start(HOSPITALS[0]), at_least=before_it)
    with EmbeddedLedger(founding.directory, HOSPITALS[0], SystemClock(), os.urandom, contract=drawers) as ledger:
        before = len(written(ledger, HOSPITALS[0]))
        victim = start(HOSPITALS[0], step)
        output, _ = victim.communicate(timeout=60)
        assert (victim.returncode, output) == (-9, "")
        assert len(written(ledger, HOSPITALS[0])) == before + (1 if step == "after-the-commit" else 0)
    told += acknowledged(start(HOSPITALS[0]), at_least=2)
    check(founding, {HOSPITALS[0]: told})


def test_a_full_disk_is_reported_and_nothing_told_before_it_is_lost(founding: Founding, start: Start) -> None:
    with EmbeddedLedger(founding.directory, HOSPITALS[0], SystemClock(), os.urandom, contract=drawers) as ledger:
        output, errors = start(HOSPITALS[0], FULL_DISK).communicate(timeout=60)
        assert errors.splitlines()[-1].startswith(("domain.errors.OutcomeUnknown:", "domain.errors.Unavailable:"))
        told = output.splitlines()
        assert told
        assert written(ledger, HOSPITALS[0]) == [line.split()[0] for line in told]
    told += acknowledged(start(HOSPITALS[0]), at_least=2)
    check(founding, {HOSPITALS[0]: told})


def test_a_block_of_another_process_ends_the_waiting(founding: Founding, start: Start) -> None:
    with EmbeddedLedger(founding.directory, HOSPITALS[0], SystemClock(), os.urandom, contract=drawers) as ledger:
        height = ledger.height()
        start(HOSPITALS[1])
        assert ledger.wait_for_block(height, timeout_s=60)
        block = next(ledger.blocks(height))
        assert [item.creator for item in block.transactions] == [HOSPITALS[1]]
