"""Once the custodian has signed that a refusal is effective, nothing is released that it forbids."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from domain import effective, statements
from domain.errors import Denied, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.instants import instant, moment
from node_service.client import exchange_wire, wire
from node_service.database.engine import Database
from node_service.database.models import RecordVersion
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.registry import organization_key
from node_service.sharing import accesses, objects, release
from node_service.witnessing.effective import sign_effective
from tests.unit.node_service.sharing.consortium import A, B, C, doctor, run
from tests.unit.node_service.witnessing.conftest import World


def opened(world: World) -> tuple[Any, str, str]:
    grant = world.story.wallet.share(world.consortium[B])
    who = doctor()
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    return who, grant, run(accesses.open_access(world.consortium[B].node, who, body)).id


def revoke(world: World, body: statements.Body) -> str:
    """Relayed by the third hospital; the statement's id."""
    return world.story.wallet.relay(body, through=world.consortium[C]).id


def patient(world: World) -> str:
    return world.story.wallet.patient


def word(world: World, statement: str) -> effective.Effective:
    """The custodian's word, verified by its key in the registry as another hospital reads it."""
    node = world.consortium[A].node
    with world.consortium[C].node.database.reading() as session:
        key = organization_key(session, A, "signing", None, instant(node.clock.now()))
    signed = sign_effective(node, patient(world), statement)
    return effective.verify_effective(
        signed,
        channel="yilian",
        custodian=A,
        statement=statement,
        keys=[decode_bytes(key.key, "key")],
    )


def ranged(world: World, access: str) -> Any:
    """Reads a range of a released object at the custodian: an open wrap needs nothing else."""
    node = world.consortium[A].node
    with node.database.reading() as session:
        query = select(RecordVersion.digest).where(RecordVersion.record == world.story.records["Observation"].record)
        digest = encode_bytes(session.scalars(query).one())
    return objects.read_object(node, B, objects.RangeRequest(access, digest, 0, 16))


def test_there_is_no_word_before_the_own_projection_holds_the_statement(world: World) -> None:
    _, grant, _ = opened(world)
    world.consortium[A].commits.frozen = True
    statement = revoke(world, statements.Revoke("grant", grant))
    with pytest.raises(NotFound):
        word(world, statement)
    world.consortium[A].commits.frozen = False
    world.consortium.follow()
    told = word(world, statement)
    assert (told.custodian, told.patient) == (A, patient(world))
    assert told.at == instant(world.consortium.clock.now())


@pytest.mark.parametrize("everything", [False, True])
def test_from_the_word_on_search_release_and_ranges_of_an_open_access_are_refused(
    world: World, everything: bool
) -> None:
    who, grant, access = opened(world)
    chart = run(world.story.reading.chart(who, access))
    assert chart.items
    assert run(ranged(world, access))
    body = statements.RevokeEverything(2) if everything else statements.Revoke("grant", grant)
    statement = revoke(world, body)
    world.consortium.follow()
    told = word(world, statement)
    assert moment(told.at) <= world.consortium.clock.now()
    for attempt in (world.story.reading.search(who, access), world.story.reading.chart(who, access)):
        with pytest.raises((Denied, NotFound)):
            run(attempt)
    with pytest.raises(Denied):
        run(ranged(world, access))


def test_a_release_that_was_decided_before_the_word_is_decided_again_before_its_keys_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation becomes effective in the middle of a release: keys are made, then nothing of it is answered."""
    who, grant, access = opened(world)
    told: list[effective.Effective] = []
    prepare = release._with_directory

    def meanwhile(*arguments: Any) -> Any:
        prepared = prepare(*arguments)
        statement = revoke(world, statements.Revoke("grant", grant))
        world.consortium.follow()
        told.append(word(world, statement))
        return prepared

    monkeypatch.setattr(release, "_with_directory", meanwhile)
    with pytest.raises((Denied, NotFound, Unavailable)):
        run(world.story.reading.chart(who, access))
    assert told


def test_another_process_on_the_same_database_refuses_too(world: World) -> None:
    who, grant, access = opened(world)
    assert run(world.story.reading.chart(who, access)).items
    node = world.consortium[A].node
    second = Database(node.settings.sqlalchemy_url)
    other = replace(node, database=second, commits=ProjectedCommits(second))
    opening = run(world.story.reading._opening(who, access)).wire()
    page = run(release.search(other, B, exchange_wire.ExchangeSearch(opening=opening)))
    assert page.items
    statement = revoke(world, statements.Revoke("grant", grant))
    world.consortium.follow()
    word(world, statement)
    with pytest.raises(Denied):
        run(release.search(other, B, exchange_wire.ExchangeSearch(opening=opening)))
    second.close()


def test_with_the_custodians_follower_stopped_nothing_is_released_at_all(world: World) -> None:
    who, grant, access = opened(world)
    world.consortium[A].commits.frozen = True
    statement = revoke(world, statements.Revoke("grant", grant))
    with pytest.raises(NotFound):
        word(world, statement)
    world.later()
    for attempt in (world.story.reading.chart(who, access), ranged(world, access)):
        with pytest.raises(Unavailable) as refused:
            run(attempt)
        assert refused.value.reason == "projection-behind"


def test_a_dissent_gets_the_custodians_word_and_a_grant_gets_none(world: World) -> None:
    dissent = world.story.wallet.dissent(("BTG",))
    grant = world.story.wallet.share(world.consortium[B])
    assert word(world, dissent).statement == dissent
    with pytest.raises(NotFound):
        word(world, grant)


def test_no_other_hospital_gives_its_word_for_the_custodian(world: World) -> None:
    _, grant, _ = opened(world)
    statement = revoke(world, statements.Revoke("grant", grant))
    world.consortium.follow()
    for msp_id in (B, C):
        with pytest.raises(NotFound):
            sign_effective(world.consortium[msp_id].node, patient(world), statement)
    with pytest.raises(NotFound):
        sign_effective(world.consortium[A].node, identifier(os.urandom(16)), statement)


def test_the_word_about_one_statement_is_none_about_another(world: World) -> None:
    _, grant, _ = opened(world)
    statement = revoke(world, statements.Revoke("grant", grant))
    world.consortium.follow()
    node = world.consortium[A].node
    signed = sign_effective(node, patient(world), statement)
    with world.consortium[C].node.database.reading() as session:
        key = organization_key(session, A, "signing", None, instant(node.clock.now()))
    keys = [decode_bytes(key.key, "key")]
    with pytest.raises(Tampered):
        effective.verify_effective(
            signed, channel="yilian", custodian=A, statement=identifier(os.urandom(16)), keys=keys
        )
