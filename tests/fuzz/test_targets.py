"""Every reader of bytes from outside under its seeds, the inputs that once broke it, and seeded mutations of both.

``python -m tests.fuzz TARGET`` (``make fuzz``) searches on with coverage as its guide.
"""

from __future__ import annotations

import operator
import time
from functools import partial
from random import Random

import pytest

from domain.identifiers import check_code
from tests.faults.counts import repetitions
from tests.fuzz.mutation import mutate
from tests.fuzz.target import SECRET, Target, accepted
from tests.fuzz.targets import TARGETS

MAX_INPUTS = 100_000
MAX_KEPT = 50


def run(target: Target, seconds: float, seed: int) -> int:
    """Mutations of mutations for some seconds; returns how many."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    seeds = target.seeds()
    pool = list(seeds)
    deadline = time.monotonic() + seconds
    for number in range(MAX_INPUTS):
        if time.monotonic() > deadline:
            return number
        data = mutate(random.choice(pool), seeds, random, takes_json=target.takes_json, max_bytes=target.max_bytes)
        feed(target, data)
        if random.random() < 0.05:
            pool = [*pool, data] if len(pool) < len(seeds) + MAX_KEPT else [*seeds, data]
    return MAX_INPUTS


def feed(target: Target, data: bytes) -> None:
    """One input; on failure it is told as hexadecimal, ready for the corpus."""
    try:
        target.fuzz_in_time(data)
    except Exception as error:
        raise AssertionError(f"{target.name} fails on bytes.fromhex('{data.hex()}')") from error


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_seeds_and_their_mutations_are_read_or_refused(target: Target) -> None:
    for seed in target.seeds():
        feed(target, seed)
    assert run(target, repetitions(1, 60), seed=1) > 10


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_a_target_has_seeds_of_its_own(target: Target) -> None:
    assert target.seeds()
    assert len(set(target.seeds())) == len(target.seeds())


def test_a_reader_that_quotes_its_input_is_caught() -> None:
    def quoting(data: bytes) -> None:
        accepted(partial(check_code, f"{data!r}", data.decode("latin-1")))

    target = Target("quoting", quoting, lambda: [SECRET.encode()])
    with pytest.raises(AssertionError):
        feed(target, SECRET.encode())


def test_a_reader_that_raises_anything_else_is_caught() -> None:
    def raising(_data: bytes) -> None:
        accepted(partial(operator.getitem, {"y": 1}, "x"))

    with pytest.raises(AssertionError):
        run(Target("raising", raising, lambda: [b"x"]), 5, seed=1)
