"""Revoke against release: every interleaving, explored breadth first. ``python -m docs.models.revoke_against_release``.

The text beside this file says what the parts mean. One tick is half a second. Everything may take any number of ticks.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

WINDOW: Final = 1  # ticks: an answer counts for half a second after its question
DRIFT: Final = 1  # ticks: the process may not notice that so much time passed, once for each answer
SECOND: Final = 2  # ticks
LONG_AGO: Final = SECOND + 1
NEVER: Final = -1
STALE: Final = WINDOW + 1


class Guard(Enum):
    """What the code checks; each can be taken away, and then the exploration must find a violation."""

    ASKED = "a release asks witnesses what is fresh (freshness.wait_until_fresh)"
    THIRD = "one answer is of a witness that is no party (voices.WitnessVoices._target)"
    WINDOW = "answers to older questions do not count (voices.WINDOW_S)"
    HIGHEST = "the highest block of all answers decides (voices.WitnessVoices._target)"
    PROJECTED = "the projection has passed that block (commits.projected)"
    LAST_LOOK = "the opening is verified again before the row (release, step 6)"
    ONE_TRANSACTION = "that and the row are one write transaction (release, step 6)"
    EFFECTIVE = "effective is signed once the shared projection holds the block (effective.sign_effective)"


ALL_GUARDS: Final = frozenset(Guard)


class Claim(Enum):
    """What has to hold; the last one does not, which shows what is not claimed."""

    EFFECTIVE = "no key is released more than one second after effective"
    WITNESSED = "no key is released to a request that came more than one second after every third witness had the block"
    CUT_OFF = "no key is released to a request that came more than one second after all third witnesses fell silent"
    ANY_REQUEST = "no key is released more than one second after every third witness had the block"


class Process(NamedTuple):
    """One process of the custodian with one request of the reader.

    Attributes:
        at: idle, asked, waiting, fresh, prepared, looked, over.
        target: whether the block it waits for is the revoke's or a later one.
        heard: what the third witness said last (had it the block?), and ``age`` since the question.
        late: whether the claim forbids to release to this request.
    """

    at: str = "idle"
    target: bool = False
    heard: bool = False
    age: int = STALE
    drifted: bool = False
    late: bool = False


class State(NamedTuple):
    """Attributes:
    committed: the wallet's revoke stands in a block; ``witness``: every third witness has that block.
    projected: the database that all processes share has it; ``following``: the follower runs.
    linked: custodian and third witnesses hear each other.
    since: ticks since the moment that the claim is about.
    """

    committed: bool = False
    witness: bool = False
    projected: bool = False
    following: bool = True
    linked: bool = True
    effective: bool = False
    since: int = NEVER
    first: Process = Process()
    second: Process = Process()


@dataclass(frozen=True)
class Found:
    """What an exploration found: how many states, and the shortest way to a violation, if there is one."""

    states: int
    way: tuple[str, ...] | None


def explore(claim: Claim, guards: frozenset[Guard] = ALL_GUARDS) -> Found:
    """Visit every state that can be reached."""
    start = State()
    before: dict[State, tuple[State, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for what, following, violated in _steps(state, claim, guards):
            if violated:
                return Found(len(before), (*_way(before, state), what))
            if following not in before:
                before[following] = (state, what)
                waiting.append(following)
    return Found(len(before), None)


def _way(before: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way: list[str] = []
    step = before[state]
    while step is not None:
        way.append(step[1])
        step = before[step[0]]
    return way[::-1]


def _steps(state: State, claim: Claim, guards: frozenset[Guard]) -> Iterator[tuple[str, State, bool]]:
    for what, following in _world(state, claim, guards):
        yield what, following, False
    for name in ("first", "second"):
        process: Process = getattr(state, name)
        for what, after, released in _process(process, state, claim, guards):
            moved = state._replace(first=after) if name == "first" else state._replace(second=after)
            yield f"a process {what}", _sorted(moved), released and _forbids(state, process, claim)


def _forbids(state: State, process: Process, claim: Claim) -> bool:
    """Whether a key must not leave now."""
    return state.since > SECOND if claim in (Claim.EFFECTIVE, Claim.ANY_REQUEST) else process.late


def _sorted(state: State) -> State:
    """Both processes are alike: which is which does not matter."""
    first, second = sorted((state.first, state.second))
    return state._replace(first=first, second=second)


# --- Wallet, ledger, witness, follower, links, time -------------------------------------------------------------------


def _world(state: State, claim: Claim, guards: frozenset[Guard]) -> Iterator[tuple[str, State]]:
    if not state.committed:
        yield "the revoke is relayed and stands in a block", state._replace(committed=True)
    if state.committed and not state.witness:
        began = 0 if claim in (Claim.WITNESSED, Claim.ANY_REQUEST) else state.since
        yield "the third witness has the block", state._replace(witness=True, since=began)
    if state.committed and state.following and not state.projected:
        yield "the follower projects the block", state._replace(projected=True)
    yield "the follower starts or stops", state._replace(following=not state.following)
    if state.linked:
        began = 0 if claim is Claim.CUT_OFF else state.since
        yield "the link to the third witness breaks", state._replace(linked=False, since=began)
    else:
        yield "the link to the third witness heals", _healed(state, claim)
    may_sign = state.projected or (Guard.EFFECTIVE not in guards and state.committed)
    if may_sign and not state.effective:
        began = 0 if claim is Claim.EFFECTIVE else state.since
        yield "the custodian signs effective", state._replace(effective=True, since=began)
    yield from _time(state)


def _healed(state: State, claim: Claim) -> State:
    """Where the claim is about the silence, requests that came meanwhile are like any others now."""
    healed = state._replace(linked=True)
    if claim is not Claim.CUT_OFF:
        return healed
    first, second = (process._replace(late=False) for process in (state.first, state.second))
    return _sorted(healed._replace(since=NEVER, first=first, second=second))


def _time(state: State) -> Iterator[tuple[str, State]]:
    since = state.since if state.since == NEVER else min(state.since + 1, LONG_AGO)
    for first in _older(state.first):
        for second in _older(state.second):
            moved = state._replace(since=since, first=first, second=second)
            if moved != state:
                yield "half a second passes", _sorted(moved)


def _older(process: Process) -> Iterator[Process]:
    """An answer grows older; or the process does not notice that it did, at most so much of it."""
    if process.age < STALE:
        older = process.age + 1
        yield process._replace(age=older, drifted=process.drifted and older < STALE)
        if DRIFT and not process.drifted:
            yield process._replace(drifted=True)
    else:
        yield process


# --- One process ------------------------------------------------------------------------------------------------------


def _process(
    process: Process, state: State, claim: Claim, guards: frozenset[Guard]
) -> Iterator[tuple[str, Process, bool]]:
    """What a process may do next; the last value tells that a key leaves."""
    if state.linked:
        heard = process._replace(heard=state.witness, age=0, drifted=False)
        if heard != process:
            yield "hears the third witness", heard, False
    match process.at:
        case "idle":
            late = claim in (Claim.WITNESSED, Claim.CUT_OFF) and state.since > SECOND
            at = "asked" if Guard.ASKED in guards else "fresh"
            yield "gets a request", process._replace(at=at, late=late), False
        case "asked":
            for target in _targets(process, guards):
                at = "waiting" if Guard.PROJECTED in guards else "fresh"
                yield (
                    f"waits for {'the block of the revoke' if target else 'an earlier block'}",
                    process._replace(at=at, target=target),
                    False,
                )
        case "waiting" if state.projected or not process.target:
            yield "is fresh", process._replace(at="fresh"), False
        case "fresh":
            yield "decides from its cache, takes keys out of custody", process._replace(at="prepared"), False
            if state.projected:
                yield "refuses", process._replace(at="over", late=False), False
        case "prepared" if state.projected and Guard.LAST_LOOK in guards:
            yield "refuses at the last look", process._replace(at="over", late=False), False
        case "prepared" if Guard.ONE_TRANSACTION not in guards:
            yield "has looked for the last time", process._replace(at="looked"), False
        case "prepared" | "looked":
            yield "writes the row, and the key leaves", process._replace(at="over", late=False), True
        case "over":
            yield "is ready for another request", process._replace(at="idle", target=False), False


def _targets(process: Process, guards: frozenset[Guard]) -> Iterator[bool]:
    """Blocks that the answers may lead to. The party's own witness may say anything at any time, and says the least."""
    counts = process.age <= WINDOW or Guard.WINDOW not in guards
    if counts:
        yield process.heard and Guard.HIGHEST in guards
    if not counts and Guard.THIRD not in guards:
        yield False


def main() -> None:
    """Print the claims and what each guard is for."""
    for claim in Claim:
        found = explore(claim)
        sys.stdout.write(f"{claim.value}: {'violated' if found.way else 'holds'}, {found.states} states\n")
    for guard in Guard:
        sys.stdout.write(f"\nwithout: {guard.value}\n")
        for claim in Claim:
            found = explore(claim, ALL_GUARDS - {guard})
            if found.way:
                sys.stdout.write(f"  violated: {claim.value} ({found.states} states)\n")
                sys.stdout.writelines(f"    {number}. {step}\n" for number, step in enumerate(found.way, 1))


if __name__ == "__main__":
    main()
