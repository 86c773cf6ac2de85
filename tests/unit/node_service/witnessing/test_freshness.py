"""Before a release somebody without a stake says how far the ledger is: every door, every way to cheat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from domain import jcs, signed_texts, statements, witness_answers
from domain.errors import Denied, NotFound, Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.signed_texts import SignedText
from node_service.client import exchange_wire, wire
from node_service.database.witness_models import WitnessEvidence
from node_service.ledger_sync.alarm import alarms
from node_service.sharing import accesses, objects, release
from node_service.witnessing.freshness import wait_until_fresh
from node_service.witnessing.voices import elapsed_s
from tests.unit.node_service.sharing.consortium import A, B, C, doctor, run
from tests.unit.node_service.witnessing.conftest import World, witness_key

DIGEST = encode_bytes(bytes(32))


def opened(world: World) -> tuple[Any, str, str]:
    """A doctor at B with an open access under a grant."""
    grant = world.story.wallet.share(world.consortium[B])
    who = doctor()
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    return who, grant, run(accesses.open_access(world.consortium[B].node, who, body)).id


def fresh(world: World, *parties: str) -> None:
    run(wait_until_fresh(world.consortium[A].node, *parties))


def test_a_chart_is_read_while_the_third_hospital_answers(world: World) -> None:
    who, _, access = opened(world)
    assert run(world.story.reading.chart(who, access)).items


def test_what_the_third_hospital_has_seen_is_waited_for_also_while_the_own_follower_is_behind(world: World) -> None:
    who, grant, access = opened(world)
    world.consortium[A].commits.frozen = True
    world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[C])
    world.later()
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "projection-behind"
    world.consortium[A].commits.frozen = False
    with pytest.raises((Denied, NotFound)):
        run(world.story.reading.chart(who, access))


def test_an_access_that_only_the_readers_peer_has_yet_is_waited_for_and_not_denied(world: World) -> None:
    grant, who = world.story.wallet.share(world.consortium[B]), doctor()
    world.later()
    fresh(world, B)  # the third hospital's answer from before serves for a moment
    world.consortium[A].commits.frozen = True
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(world.consortium[B].node, who, body)).id
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "projection-behind"
    world.consortium[A].commits.frozen = False
    assert run(world.story.reading.chart(who, access)).items


def test_nothing_is_released_where_nobody_is_heard(world: World) -> None:
    who, _, access = opened(world)
    for one in world.witnesses.running.values():
        one.silent = True
    world.later()
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "no-witness"


def test_the_parties_alone_do_not_say_what_is_fresh(world: World) -> None:
    world.witnesses[C].silent = True
    with pytest.raises(Unavailable) as refused:
        fresh(world, B)
    assert refused.value.reason == "no-witness"
    fresh(world)  # B is no party to a release to somebody else: its answer just now serves
    assert world.witnesses[B].questions == 1
    assert world.witnesses[A].questions == 0


def test_an_answer_serves_for_half_a_second_and_no_longer(world: World) -> None:
    fresh(world, B)
    asked = world.witnesses[C].questions
    world.later(0.4)
    fresh(world, B)
    assert world.witnesses[C].questions == asked
    world.later(0.2)
    fresh(world, B)
    assert world.witnesses[C].questions == asked + 1
    world.witnesses[C].silent = True
    world.later(0.6)
    with pytest.raises(Unavailable):
        fresh(world, B)


def test_an_answer_to_another_question_is_no_answer(world: World) -> None:
    kept: list[bytes] = []

    def replayed(content: bytes) -> bytes:
        kept.append(content)
        return kept[0]

    world.witnesses[C].forges = replayed
    fresh(world, B)
    world.later()
    with pytest.raises(Unavailable) as refused:
        fresh(world, B)
    assert refused.value.reason == "no-witness"


def answer_of(content: bytes) -> witness_answers.Answer:
    return signed_texts.parse(witness_answers.Answer, witness_answers.TYPE, json.loads(content)["answer"])


def signed_by(msp_id: str, answer: witness_answers.Answer) -> bytes:
    return jcs.canonical({**witness_answers.to_json(witness_answers.sign_answer(answer, witness_key(msp_id).sign))})


@pytest.mark.parametrize(
    "forges",
    [
        lambda content: signed_by(B, answer_of(content)),
        lambda content: content.replace(b'"signature":"', b'"signature":"A', 1),
        lambda _content: b"{}",
        lambda _content: b"[" * 3000,
        lambda _content: b"x" * 100_000,
    ],
    ids=["another-key", "altered", "empty", "deep", "long"],
)
def test_what_the_registered_key_did_not_sign_is_no_answer(world: World, forges: Any) -> None:
    world.witnesses[C].forges = forges
    with pytest.raises(Unavailable) as refused:
        fresh(world, B)
    assert refused.value.reason == "no-witness"


def test_another_block_than_the_own_raises_an_alarm_keeps_the_signed_answer_and_stops_releases(world: World) -> None:
    who, _, access = opened(world)
    said: list[SignedText] = []

    def forked(content: bytes) -> bytes:
        told = answer_of(content)
        lie = replace(told, header=DIGEST)
        said.append(witness_answers.sign_answer(lie, witness_key(C).sign))
        return jcs.canonical({**witness_answers.to_json(said[-1])})

    world.witnesses[C].forges = forked
    world.later()
    node = world.consortium[A].node
    with pytest.raises(Tampered) as found:
        fresh(world, B)
    assert C in found.value.place
    with node.database.reading() as session:
        assert [alarm.reason for alarm in alarms(session)] == ["header"]
        (kept,) = session.scalars(select(WitnessEvidence)).all()
    evidence = json.loads(kept.document)
    assert evidence["answer"] == witness_answers.to_json(said[-1])
    assert evidence["own"]["header"] != DIGEST
    world.witnesses[C].forges = None
    world.later()
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "alarm"


def claims_blocks(msp_id: str) -> Callable[[bytes], bytes]:
    """Signs for a thousand blocks that nobody else has."""

    def ahead(content: bytes) -> bytes:
        told = answer_of(content)
        body = told.head().body().split("\n")
        checkpoint = "\n".join([body[0], str(told.block + 1001), *body[2:]])
        return signed_by(msp_id, replace(told, block=told.block + 1000, header=DIGEST, checkpoint=checkpoint))

    return ahead


def test_a_block_that_does_not_exist_stops_the_release_and_names_who_claims_it(world: World) -> None:
    world.witnesses[C].forges = claims_blocks(C)
    with pytest.raises(Unavailable) as refused:
        fresh(world, B)
    assert (refused.value.reason, refused.value.place) == ("projection-behind", C)


def test_a_refusal_goes_to_the_ledger_where_no_witness_is_heard(world: World) -> None:
    grant = world.story.wallet.share(world.consortium[B])
    for one in world.witnesses.running.values():
        one.silent = True
    world.later()
    done = world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[C])
    assert done.block > 0


def test_every_door_of_the_custodian_asks(world: World) -> None:
    who, _, access = opened(world)
    node, reading = world.consortium[A].node, world.story.reading
    opening = run(reading._opening(who, access)).wire()
    search = exchange_wire.ExchangeSearch(opening=opening)
    ranged = objects.RangeRequest(access, DIGEST, 0, 1)
    doors: list[Coroutine[Any, Any, object]] = [
        release.search(node, B, search), objects.read_object(node, B, ranged),
    ]  # fmt: skip
    world.witnesses[C].silent = True
    for door in doors:
        world.later()
        with pytest.raises(Unavailable) as refused:
            run(door)
        assert refused.value.reason == "no-witness"


def test_a_partys_higher_block_does_not_hide_that_the_third_hospital_has_another_ledger(world: World) -> None:
    """A custodian whose peer follows a fork without the revocation, and a reader whose witness vouches for it."""
    grant = world.story.wallet.share(world.consortium[B])
    world.witnesses[C].follow(world.consortium.clock.now())
    world.witnesses[C].stands = True
    world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[B])
    world.consortium.follow()

    def forked(content: bytes) -> bytes:
        told = answer_of(content)
        return signed_by(C, replace(told, header=DIGEST))

    world.witnesses[C].forges = forked
    world.later()
    with pytest.raises(Tampered) as found:
        fresh(world, B)
    assert C in found.value.place


def asking_hook(world: World, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Something happens while a release is being prepared, after it was found fresh."""
    prepare = release._with_directory

    def slow(*arguments: Any) -> Any:
        prepared = prepare(*arguments)
        meanwhile()
        return prepared

    monkeypatch.setattr(release, "_with_directory", slow)


def test_a_request_that_was_fresh_and_takes_long_is_asked_again_before_its_keys_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The custodian's follower stands still, so its own view holds no revocation; the third hospital's does."""
    who, grant, access = opened(world)

    def meanwhile() -> None:
        world.consortium[A].commits.frozen = True
        world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[C])
        world.later()

    asking_hook(world, monkeypatch, meanwhile)
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "projection-behind"


def test_what_was_fresh_is_old_where_the_last_transaction_waits_or_the_machine_sleeps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, _, access = opened(world)
    look, slept = release._verify_unchanged, [0.8]

    def sleepy(*arguments: Any) -> None:
        look(*arguments)
        world.later(slept.pop() if slept else 0.0)

    monkeypatch.setattr(release, "_verify_unchanged", sleepy)
    asked = world.witnesses[C].questions
    assert run(world.story.reading.chart(who, access)).items  # asked again, then released
    assert world.witnesses[C].questions > asked + 1
    slept.extend([0.8] * 3)
    world.later()
    with pytest.raises(Unavailable) as refused:
        run(world.story.reading.chart(who, access))
    assert refused.value.reason == "not-fresh"


def test_time_goes_on_while_the_machine_sleeps() -> None:
    """Linux's monotonic clock stands still in suspend: an answer from before would still be fresh on waking."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= elapsed_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
