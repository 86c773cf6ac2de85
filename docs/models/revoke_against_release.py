"""Revoke against release: every interleaving, explored breadth first. ``python -m docs.models.revoke_against_release``.

The text beside this file says what the parts mean. Everything may take any number of ticks.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

TICK_S: Final = 0.25
WINDOW: Final = 2  # ticks: an answer counts for half a second after its question
WITHIN: Final = 3  # ticks: the last look takes no answer to a question that is older
STALE: Final = WITHIN + 1
NEVER: Final = -1


class Guard(Enum):
    """What the code checks; each can be taken away, and then the exploration must find a violation."""

    ASKED = "a release asks witnesses what is fresh (freshness.wait_until_fresh)"
    THIRD = "one answer is of a witness that is no party (voices.WitnessVoices._fresh)"
    WINDOW = "answers to older questions do not count (voices.WINDOW_S)"
    HIGHEST = "the highest block of all answers decides (freshness.wait_until_fresh)"
    PROJECTED = "the projection has passed that block (commits.projected)"
    AGAIN = "it is asked again before the row, and the last look takes no older answer (freshness.RELEASE_WITHIN_S)"
    LAST_LOOK = "the opening is verified again before the row (release, step 6)"
    ONE_TRANSACTION = "that and the row are one write transaction (release, step 6)"
    EFFECTIVE = "effective is signed once the shared projection holds the block (effective.sign_effective)"


ALL_GUARDS: Final = frozenset(Guard)
ASKED_AGAIN: Final = frozenset((Guard.ASKED, Guard.AGAIN))


class Claim(Enum):
    """What has to hold."""

    EFFECTIVE = "no row that lets a key go is committed after effective"
    WITNESSED = "no last look lets a key go more than 0.75 s after every third witness had the block"
    CUT_OFF = "no last look lets a key go more than 0.75 s after all third witnesses fell silent"
    LATER = "no key goes to a request that came more than 0.5 s after all third witnesses fell silent"


ABOUT_SILENCE: Final = (Claim.CUT_OFF, Claim.LATER)


class Moment(Enum):
    """Of a release: its last look, and the commit of its row."""

    LOOK = "look"
    COMMIT = "commit"


class Process(NamedTuple):
    """One process of the custodian with one request of the reader.

    Attributes:
        at: idle, asked, waiting (for the block of the revoke), fresh, looked.
        prepared: it has decided and has the keys; what it asks from here on is for the last look.
        heard: what the third witness said last (had it the block?), and ``age`` since the question.
        question: ticks since the oldest question behind its being fresh, once it matters.
        late: whether the claim forbids to release to this request.
    """

    at: str = "idle"
    prepared: bool = False
    heard: bool = False
    age: int = STALE
    question: int = 0
    late: bool = False


class State(NamedTuple):
    """Attributes:
    committed: the wallet's revoke stands in a block; ``witness``: every third witness has that block.
    projected: the database that all processes share has it.
    linked: custodian and third witnesses hear each other.
    since: ticks since the moment that the claim is about.
    """

    committed: bool = False
    witness: bool = False
    projected: bool = False
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
        for what, after, moment in _process(process, state, claim, guards):
            moved = state._replace(first=after) if name == "first" else state._replace(second=after)
            yield f"a process {what}", _sorted(moved), moment is not None and _forbids(state, process, claim, moment)


def _forbids(state: State, process: Process, claim: Claim, moment: Moment) -> bool:
    """Whether this must not happen now."""
    match claim:
        case Claim.EFFECTIVE:
            return moment is Moment.COMMIT and state.effective
        case Claim.LATER:
            return process.late
        case _:
            return moment is Moment.LOOK and state.since > WITHIN


def _sorted(state: State) -> State:
    """Both processes are alike: which is which does not matter."""
    first, second = sorted((state.first, state.second))
    return state._replace(first=first, second=second)


# --- Wallet, ledger, witness, follower, links, time -------------------------------------------------------------------


def _world(state: State, claim: Claim, guards: frozenset[Guard]) -> Iterator[tuple[str, State]]:
    if not state.committed:
        yield "the revoke is relayed and stands in a block", state._replace(committed=True)
    if state.committed and not state.witness:
        began = 0 if claim is Claim.WITNESSED else state.since
        yield "the third witness has the block", state._replace(witness=True, since=began)
    if state.committed and not state.projected and not _is_locked(state, guards):
        yield "the follower projects the block", state._replace(projected=True)
    if state.linked:
        began = 0 if claim in ABOUT_SILENCE else state.since
        yield "the link to the third witness breaks", state._replace(linked=False, since=began)
    else:
        yield "the link to the third witness heals", _healed(state, claim)
    may_sign = state.projected or (Guard.EFFECTIVE not in guards and state.committed)
    if may_sign and not state.effective:
        yield "the custodian signs effective", state._replace(effective=True)
    yield from _time(state)


def _is_locked(state: State, guards: frozenset[Guard]) -> bool:
    """The database has one writer: between a last look and the commit nobody else writes."""
    return Guard.ONE_TRANSACTION in guards and "looked" in (state.first.at, state.second.at)


def _healed(state: State, claim: Claim) -> State:
    """Where the claim is about the silence, requests that came meanwhile are like any others now."""
    healed = state._replace(linked=True)
    if claim not in ABOUT_SILENCE:
        return healed
    first, second = (process._replace(late=False) for process in (state.first, state.second))
    return _sorted(healed._replace(since=NEVER, first=first, second=second))


def _time(state: State) -> Iterator[tuple[str, State]]:
    since = state.since if state.since == NEVER else min(state.since + 1, STALE)
    moved = state._replace(since=since, first=_older(state.first), second=_older(state.second))
    if moved != state:
        yield "a quarter of a second passes", _sorted(moved)


def _older(process: Process) -> Process:
    """Answer and question grow older."""
    question = min(process.question + 1, STALE) if _counts(process) else 0
    return process._replace(age=min(process.age + 1, STALE), question=question)


def _counts(process: Process) -> bool:
    """Whether there is a question whose age will matter."""
    return process.prepared and process.at in ("waiting", "fresh")


# --- One process ------------------------------------------------------------------------------------------------------


def _process(
    process: Process, state: State, claim: Claim, guards: frozenset[Guard]
) -> Iterator[tuple[str, Process, Moment | None]]:
    """What a process may do next, and which moment of a release that is."""
    if state.linked:
        heard = process._replace(heard=state.witness, age=0)
        if heard != process:
            yield "hears the third witness", heard, None
    match process.at:
        case "idle":
            late = claim is Claim.LATER and state.since > WINDOW
            at = "asked" if Guard.ASKED in guards else "fresh"
            yield "gets a request", process._replace(at=at, late=late), None
        case "asked":
            yield from ((*asked, None) for asked in _answered(process, guards))
        case "waiting" if state.projected:
            yield "is fresh", process._replace(at="fresh"), None
        case "fresh" if not process.prepared:
            at = "asked" if guards >= ASKED_AGAIN else "fresh"
            yield "decides from its cache, takes keys out of custody", process._replace(at=at, prepared=True), None
            if state.projected:
                yield "refuses", _over(process), None
        case "fresh" if state.projected and Guard.LAST_LOOK in guards:
            yield "refuses at the last look", _over(process), None
        case "fresh" if process.question > WITHIN and guards >= ASKED_AGAIN:
            yield "asks once more", process._replace(at="asked", question=0), None
        case "fresh" if not _is_locked(state, guards):
            yield "looks for the last time and lets the key go", process._replace(at="looked", question=0), Moment.LOOK
        case "looked":
            yield "commits the row, and the key leaves", _over(process), Moment.COMMIT


def _over(process: Process) -> Process:
    """What it heard is all that is left."""
    return Process(heard=process.heard, age=process.age)


def _answered(process: Process, guards: frozenset[Guard]) -> Iterator[tuple[str, Process]]:
    """Where the answers lead. The party's own witness may say anything at any time, and says the least."""
    counts = process.age <= WINDOW or Guard.WINDOW not in guards
    question = process.age if process.prepared else 0
    if counts and process.heard and Guard.HIGHEST in guards:
        at = "waiting" if Guard.PROJECTED in guards else "fresh"
        yield "waits for the block of the revoke", process._replace(at=at, question=question)
    elif counts:
        yield "is fresh with an earlier block", process._replace(at="fresh", question=question)
    elif Guard.THIRD not in guards:
        yield "is fresh with an earlier block", process._replace(at="fresh", question=0)


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
