"""Lines that fail and processes that stand still, under load: a partition, slowness, resets; nobody is dead.

The custodian's node loses its own peer while the rest of the network works; other hospitals and wallets lose the
custodian's node; a peer, an ordering node or a contract service stands still and keeps its connections.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from network.topology.engine import Binaries
from tests.fabric.faults.consortium import AWAY, HOME, THIRD, Lines, consortium
from tests.fabric.faults.striking import Struck
from tests.faults.counts import repetitions
from tests.line import Line, line

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
HOLD_S: Final = repetitions(6, 30)
PAUSE_S: Final = 0.15
RESETS_EVERY_S: Final = 0.5
ALL: Final = repetitions(0, 1)
"""In soak every line fails in every way, and every kind of process stands still."""


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    with ExitStack() as stack:
        yield Lines(stack.enter_context(line()), stack.enter_context(line()))


@pytest.fixture(scope="module")
def struck(binaries: Binaries, lines: Lines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    with consortium(tmp_path_factory.mktemp("lines"), lines=lines) as running:
        yield Struck(running, tmp_path_factory.mktemp("exports"))


WAYS: Final[dict[str, Callable[[Line], None]]] = {
    "cut": Line.cut,
    "standing still": Line.stand_still,
    "slow": lambda one: one.slow_down(PAUSE_S),
    "breaking": lambda one: one.reset_every(RESETS_EVERY_S),
}
FEW: Final = {("peer", "standing still"), ("node", "cut")}


@pytest.mark.parametrize(
    ("which", "way"), sorted({(which, way) for which in ("peer", "node") for way in WAYS} if ALL else FEW)
)
def test_a_line_of_the_custodian_fails(struck: Struck, lines: Lines, which: str, way: str) -> None:
    one: Line = getattr(lines, which)
    before = one.passed
    struck.survive(f"line to the {which} {way}", lambda: WAYS[way](one), one.heal, hold_s=HOLD_S)
    assert one.passed > before


@pytest.mark.parametrize(
    ("role", "whose"),
    [("orderer", None), *([(role, whose) for role in ("peer", "contract") for whose in (HOME, AWAY)] if ALL else [])],
    ids=lambda one: one or "leader",
)
def test_a_process_stands_still_and_goes_on(struck: Struck, role: str, whose: str | None) -> None:
    fabric = struck.consortium.fabric
    name = fabric.wait_leader().process("orderer") if whose is None else struck.consortium.process(role, whose)
    struck.survive(
        f"{role} of {whose or 'the leader'} standing still",
        lambda: fabric.kill(name, signal.SIGSTOP),
        lambda: fabric.kill(name, signal.SIGCONT),
        hold_s=HOLD_S,
        untouched=THIRD,
    )
