"""The clock of a hospital's machine is set wrong and right again while its node and its witness are at work.

What goes by durations (timeouts, how long ago a witness answered) goes by the monotonic clock, which nobody can set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from domain.errors import YilianError
from tests.fabric.faults.consortium import People
from tests.fabric.faults.facts import Facts
from tests.faults.counts import repetitions
from tests.faults.surviving import settled, survive
from yilian.demo.network import Hospital, Person

pytestmark = pytest.mark.slow
SOURCE: Final = Path(__file__).with_name("shifted_clock.c")
HOLD_S: Final = repetitions(4, 20)
RIGHT: Final = timedelta()
FEW: Final = (timedelta(hours=2), timedelta(hours=-2))
MANY: Final = (*FEW, timedelta(minutes=14), timedelta(minutes=-14), timedelta(hours=11))
"""Staff sign in again after twelve idle hours at the latest."""


@dataclass(frozen=True, slots=True)
class Machine:
    """People at work, and the clock of the custodian's machine; ``archive`` is who stores there."""

    people: People
    archive: Person
    clock: Path
    facts: Facts = field(default_factory=Facts)

    def set_clock(self, wrong: timedelta) -> None:
        """By how much it is wrong."""
        with self.clock.open("r+b") as file:
            file.write(_shift(wrong))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    compiler = shutil.which("cc")
    if compiler is None:
        reason = "no C compiler: apt-get install gcc libc6-dev"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("clocks")
    clock, library = folder / "clock", folder / "shifted_clock.so"
    clock.write_bytes(_shift(RIGHT))
    subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    with settled(folder, {}) as people:
        home = people.actors.home
        _go_by(home, clock, library)
        archive = home.employ("second-archive", "Archive", "medical-records")
        actors = replace(people.actors, archive=archive.client)
        yield Machine(replace(people, actors=actors), archive, clock)


@pytest.mark.parametrize("wrong", (repetitions(0, 1) and MANY) or FEW, ids=str)
def test_a_clock_is_set_wrong_and_right_again(machine: Machine, wrong: timedelta) -> None:
    refused_before = sum(machine.facts.troubles.values())

    def for_a_while() -> None:
        machine.set_clock(wrong)
        time.sleep(HOLD_S)
        machine.set_clock(RIGHT)
        machine.archive.sign_in()  # a session that was prolonged while the clock was ahead has ended

    survive(machine.people, machine.facts, for_a_while, again=(YilianError,))
    assert sum(machine.facts.troubles.values()) > refused_before  # the clock was seen


def _go_by(hospital: Hospital, clock: Path, library: Path) -> None:
    """Node and witness start again, by this clock."""
    assert hospital.witness is not None
    hospital.stop()
    hospital.environment = {**hospital.environment, "LD_PRELOAD": str(library), "CLOCK_SHIFT_FILE": str(clock)}
    hospital.start()
    hospital.witness.start(hospital.environment)
    hospital.wait_ready()


def _shift(wrong: timedelta) -> bytes:
    return int(wrong.total_seconds()).to_bytes(8, sys.byteorder, signed=True)
