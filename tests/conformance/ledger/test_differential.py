"""The same transactions on both ledgers: the same validation codes, and the same state key by key."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain import jcs, queries, transactions
from domain.errors import YilianError
from domain.instants import instant
from domain.jcs import JsonValue
from domain.ports import CommittedTransaction, Ledger
from domain.statements import Erasure, Rotate
from domain.transactions import (
    AnchorStatement,
    AttestErasure,
    CloseRegistration,
    CreateRecord,
    EraseRecord,
    LockRecord,
    RequestAccess,
    RetractRecord,
    ReviewBreakGlass,
    RotateKey,
    Transaction,
    UpdateOrganization,
    encode,
)
from network.embedded.ledger import EmbeddedLedger
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import HOSPITALS, Cabinet, Network, StagedLedger, decided, embedded
from tests.conformance.ledger.contracts import product_and_drawers
from tests.conformance.ledger.fabric_adapter import fabric
from tests.unit.chaincode.world import (
    Log,
    Wallet,
    a_digest,
    after,
    an_id,
    break_glass,
    grant_terms,
    open_access,
    organization_key,
    registration,
)

pytestmark = [pytest.mark.fabric, pytest.mark.slow]

SEEDS = range(4)
ROUNDS = 6
NORTH, SOUTH, WEST = HOSPITALS


@dataclass(frozen=True)
class Invocation:
    """Something that a hospital has endorsed against the state of its moment."""

    by: int
    name: str
    drawer: str
    text: str
    endorsements: int


@dataclass(frozen=True)
class Round:
    """What is endorsed, and then ordered together: invocations of this round and earlier ones, some of them twice."""

    invoked: tuple[Invocation, ...]
    ordered: tuple[int, ...]


def trace(seed: int) -> list[Round]:
    """Few drawers and many writers, so that most rules of the ledger come into play."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    rounds, count = [], 0
    for _ in range(ROUNDS):
        invoked = tuple(
            Invocation(
                by=dice.randrange(2),
                name=dice.choice(("Put", "Append", "Append", "Empty", "Count", "PutTwiceAndRead")),
                drawer=dice.choice("abc"),
                text=str(dice.randrange(10)),
                endorsements=dice.choice((3, 3, 3, 2, 1)),
            )
            for _ in range(dice.randrange(2, 7))
        )
        count += len(invoked)
        ordered = [index for index in range(count) if dice.random() < (0.8 if index >= count - len(invoked) else 0.1)]
        dice.shuffle(ordered)
        rounds.append(Round(invoked, tuple(ordered or [count - 1])))
    return rounds


@dataclass(frozen=True)
class Outcome:
    """What came of a trace, and how the ledger divided it into blocks."""

    codes: list[str]
    state: dict[str, bytes]
    answers: list[JsonValue]
    blocks: list[list[int]]


def play(network: Network, rounds: Sequence[Round], name: str, blocks: Sequence[Sequence[int]] = ()) -> Outcome:
    """Plays a trace in the cabinet ``name``, divided into blocks as it was before."""
    ledgers = [network.ledger(msp_id) for msp_id in HOSPITALS[:2]]
    cabinet, envelopes, divided = Cabinet(ledgers[0], name), list[bytes](), list[list[int]]()
    for number, one in enumerate(rounds):
        network.level()
        envelopes.extend(_endorsed(ledgers[item.by], cabinet, item) for item in one.invoked)
        left = [envelopes[index] for index in one.ordered]
        sizes: list[int] = []
        for size in blocks[number] if blocks else [len(left)]:
            sizes += network.commit_together(left[:size])
            left = left[size:]
        divided.append(sizes)
    network.level()
    answers = [cabinet.evaluate(ledger, "List") for ledger in ledgers]
    return Outcome(cabinet.codes(ledgers[0]), cabinet.state(ledgers[0]), answers, divided)


def _endorsed(ledger: StagedLedger, cabinet: Cabinet, item: Invocation) -> bytes:
    arguments = cabinet.arguments(drawer=item.drawer, text=item.text)
    endorsed = ledger.endorse(ledger.propose(item.name, arguments))
    return ledger.assemble(replace(endorsed, endorsements=endorsed.endorsements[: item.endorsements]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_trace_gives_the_same_codes_and_state(
    drawers_on_fabric: NativeNetwork, tmp_path: Path, seed: int
) -> None:
    rounds, name = trace(seed), os.urandom(6).hex()
    with fabric(drawers_on_fabric, tmp_path / "fabric") as real:
        found = play(real, rounds, name)
    with embedded(tmp_path / "embedded") as own:
        expected = play(own, rounds, name, found.blocks)
    assert found.codes == expected.codes
    assert found.state == expected.state
    assert found.answers == expected.answers
    assert len(found.codes) == sum(len(one.ordered) for one in rounds)


def test_the_traces_reach_every_code_that_a_race_can_give(drawers_on_fabric: NativeNetwork, tmp_path: Path) -> None:
    """A trace in which nothing goes wrong would prove nothing."""
    reached: set[str] = set()
    for seed in SEEDS:
        with embedded(tmp_path / str(seed)) as own:
            reached.update(play(own, trace(seed), "all").codes)
    codes = {"VALID", "MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT", "ENDORSEMENT_POLICY_FAILURE", "DUPLICATE_TXID"}
    assert reached == codes


class StandingClock:
    """One moment for a whole run, so that both ledgers get the same transactions."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


Step = tuple[str, Transaction]


def story(now: str, channel: str, unique: str) -> list[Step]:
    """Every kind of the product's transactions at a moment, with refusals and repetitions among them."""
    li = Wallet(unique, NORTH)
    later, soon = after(3600, now), after(600, now)
    terms = grant_terms(grantee=SOUTH, valid_from=now, valid_until=later, recorded_until=now)
    timed = {"anchor_by": later, "channel": channel}
    log, record = Log().grow(20, 20), an_id(f"record {unique}")
    grant = li.grant(f"g {unique}", terms, **timed)
    forged = replace(grant, signature=Wallet("mallory", NORTH).sign(grant.statement))
    emergency = break_glass(f"e {unique}", NORTH, until=soon)
    heir, gone = li.next_epoch(), an_id(f"gone {unique}")
    text = li.text(f"rotate {unique}", Rotate(heir.keys), **timed)
    wish = heir.signed(f"erase {unique}", Erasure(a_digest("records")), **timed)
    return [
        *((msp, registration(msp)) for msp in HOSPITALS),
        (NORTH, UpdateOrganization("https://north.example", (organization_key(holder=NORTH),))),
        (NORTH, li.enrol(**timed)),
        (NORTH, log.anchor((5, 2))),
        (NORTH, log.anchor((9, 7), (5, 2), unwraps=3)),
        (NORTH, log.anchor((9, 7), (5, 2), unwraps=3)),
        (NORTH, log.anchor((8, 7), (5, 2), unwraps=2)),
        (NORTH, CreateRecord(record, a_digest("leaf"))),
        (NORTH, CreateRecord(record, a_digest("another leaf"))),
        (SOUTH, RequestAccess(an_id(f"q {unique}"), soon)),
        (SOUTH, forged),
        (SOUTH, grant),
        (WEST, grant),
        (SOUTH, open_access(f"o {unique}", li, f"g {unique}", until=soon)),
        (WEST, open_access(f"p {unique}", li, f"g {unique}", until=soon)),
        (WEST, li.dissent(f"d {unique}", None, **timed)),
        (WEST, li.revoke(f"r {unique}", f"g {unique}", **timed)),
        (SOUTH, open_access(f"s {unique}", li, f"g {unique}", until=soon)),
        (WEST, li.revoke_all(f"all {unique}", 2, **timed)),
        (SOUTH, li.grant(f"below {unique}", terms, **timed)),
        (SOUTH, emergency),
        (SOUTH, emergency),
        (SOUTH, ReviewBreakGlass(an_id(f"e {unique}"), "justified", an_id("officer"), a_digest("note"))),
        (NORTH, LockRecord(record, "retention", soon)),
        (NORTH, RetractRecord(record, "wrong-patient")),
        (NORTH, EraseRecord((record,))),
        (NORTH, CreateRecord(gone, a_digest("leaf"))),
        (NORTH, EraseRecord((gone,))),
        (SOUTH, AttestErasure(NORTH, (gone,), None)),
        (WEST, AnchorStatement(an_id(f"fact {unique}"), "ai-result", a_digest("fact"), None, None)),
        (NORTH, RotateKey(text, li.sign(text), heir.sign(text))),
        (SOUTH, li.dissent(f"late {unique}", None, **timed)),
        (WEST, AnchorStatement(an_id(f"erase {unique}"), "erasure-request", a_digest("records"), *wish)),
        (NORTH, CloseRegistration(li.patient, "deceased")),
        (SOUTH, heir.dissent(f"closed {unique}", None, **timed)),
    ]


def asked(unique: str) -> list[queries.Query]:
    """A query of each kind about what the story wrote."""
    patient = Wallet(unique, NORTH).patient
    return [
        queries.QueryOrganization(NORTH),
        queries.QueryOrganizations(),
        queries.QueryPatient(patient),
        queries.QueryGrants(patient, None, 10),
        queries.QueryDissents(patient),
        queries.QueryAccesses(id=an_id(f"o {unique}")),
        queries.QueryEmergency(an_id(f"e {unique}")),
        queries.QueryRequest(an_id(f"q {unique}")),
        queries.QueryLog(NORTH),
        queries.QueryRecord(NORTH, an_id(f"record {unique}")),
        queries.QueryStatement("ai-result", an_id(f"fact {unique}")),
        queries.QueryHistory(("org", NORTH)),
    ]


def answered(ledger: Ledger, query: queries.Query) -> JsonValue:
    """The answer, without the ids of transactions, which differ."""
    name, arguments = queries.encode(query)
    try:
        return without_ids(ledger.evaluate(name, jcs.parse_object(arguments)))
    except YilianError as error:
        return f"{type(error).__name__} {error.reason} {error.place}"


def without_ids(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: without_ids(item) for name, item in value.items() if name != "tx_id"}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


def told(ledgers: dict[str, Ledger], steps: Sequence[Step]) -> tuple[list[str], list[CommittedTransaction]]:
    """What each step's hospital was told, and the transactions that were ordered."""
    (first, *_) = ledgers.values()
    start, answers = first.height(), list[str]()
    for msp_id, transaction in steps:
        try:
            answers.append(decided(first, ledgers[msp_id].submit(*encode(transaction))).code)
        except YilianError as error:
            answers.append(f"{type(error).__name__} {error.reason} {error.place}")
    blocks = first.blocks(start)
    return answers, [item for block in blocks for item in block.transactions]


def test_the_products_contract_gives_the_same_answers_writes_and_events(
    drawers_on_fabric: NativeNetwork, tmp_path: Path
) -> None:
    clock = StandingClock(datetime.now(UTC).replace(microsecond=0))
    with ExitStack() as stack:
        real: dict[str, Ledger] = {}
        for msp_id in HOSPITALS:
            (tmp_path / msp_id).mkdir()
            connection = Connection.read(drawers_on_fabric.connection_file(msp_id))
            real[msp_id] = stack.enter_context(FabricLedger(connection, clock, os.urandom, tmp_path / msp_id))
        with embedded(tmp_path / "embedded", channel=next(iter(real.values())).channel) as network:
            own: dict[str, Ledger] = {
                msp_id: stack.enter_context(
                    EmbeddedLedger(network.directory, msp_id, clock, os.urandom, contract=product_and_drawers)
                )
                for msp_id in HOSPITALS
            }
            unique = os.urandom(6).hex()
            steps = story(instant(clock.at), real[NORTH].channel, unique)
            found, expected = told(real, steps), told(own, steps)
            answers = {
                type(query).__name__: [answered(one[SOUTH], query) for one in (real, own)] for query in asked(unique)
            }
    assert {type(transaction).__name__ for _, transaction in steps} == transactions.NAMES.keys()
    assert answers.keys() == queries.NAMES.keys()
    for name, (on_fabric, embedded_one) in answers.items():
        assert on_fabric == embedded_one, name
    assert found[0] == expected[0]
    assert {answer.split()[0] for answer in found[0]} >= {"VALID", "Denied", "Conflict"}
    assert [comparable(item) for item in found[1]] == [comparable(item) for item in expected[1]]


def comparable(item: CommittedTransaction) -> CommittedTransaction:
    return replace(item, tx_id="")
