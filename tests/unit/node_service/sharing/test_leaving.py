"""A hospital that left the channel, though the ledger calls it active still: no door is open, what it signed holds."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import null, update

from domain.entries import OrganizationEntry
from domain.errors import Denied, NotFound
from domain.identifiers import decode_bytes
from domain.instants import instant
from node_service.addresses import node_address
from node_service.client import wire
from node_service.database.models import Checkpoint
from node_service.ledger_sync import projection, registry
from node_service.sharing import accesses, contributions, exchange_tokens
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, Consortium, doctor, run
from tests.unit.node_service.sharing.test_contributions import contribute, opened
from tests.unit.node_service.sharing.test_emergencies import break_glass
from tests.unit.node_service.sharing.test_requests import request
from tests.unit.node_service.sharing.test_sessions import assertion, exchange_token


def statuses(consortium: Consortium, msp_id: str = A) -> dict[str, str]:
    with consortium[msp_id].node.database.reading() as session:
        told = {other: entry.status for other, entry in registry.organizations(session).items()}
        for other, status in told.items():
            entry = registry.organization(session, other)
            assert entry is not None
            assert entry.status == status
            assert (registry.active_organization(session, other) is None) == (status != "active")
    return told


def test_who_is_not_in_the_channel_has_left_whatever_the_ledger_says(consortium: Consortium) -> None:
    assert statuses(consortium) == {A: "active", B: "active", C: "active"}
    consortium.leave(B)
    assert statuses(consortium) == {A: "active", B: "left", C: "active"}
    node = consortium[A].node
    with node.database.reading() as session:
        entry = projection.entry(session, OrganizationEntry, B)
        assert entry is not None
        assert entry.status == "active"
        with pytest.raises(NotFound):
            registry.organization_key(session, B, "signing", None, instant(consortium.clock.now()))
    with pytest.raises(NotFound):
        node_address(node, B)


def test_who_comes_back_is_a_member_again(consortium: Consortium) -> None:
    consortium.leave(B)
    consortium.come_back(B)
    assert set(statuses(consortium).values()) == {"active"}


def test_where_no_block_has_told_the_members_the_ledger_decides_until_the_next_block(consortium: Consortium) -> None:
    """A database of the release before, or one that such a release still writes to beside this one."""
    consortium.leave(B)
    with consortium[A].node.database.transaction() as session:
        session.execute(update(Checkpoint).values(members=null()))
    assert statuses(consortium)[B] == "active"
    consortium.write(C)
    assert statuses(consortium)[B] == "left"


def test_a_hospital_that_left_gets_no_token_and_its_old_one_opens_nothing(story: Story) -> None:
    token = exchange_token(story, assertion(story)).access_token
    story.consortium.leave(B)
    node = story.consortium[A].node
    with pytest.raises(Denied):
        exchange_tokens.authenticate_hospital(node, token)
    with pytest.raises(Denied) as refused:
        exchange_token(story, assertion(story))
    assert refused.value.reason == "assertion"


def test_nothing_is_released_under_an_access_that_was_open_before(story: Story) -> None:
    """Also to a caller whose token was looked at a moment before the block came."""
    who, access, _ = opened(story, "read")
    observation = story.records["Observation"].record
    assert run(story.reading.read(who, access, observation))
    story.consortium.leave(B)
    for attempt in (lambda: story.reading.read(who, access, observation), lambda: story.reading.chart(who, access)):
        with pytest.raises(Denied) as refused:
            run(attempt())
        assert refused.value.reason == "no-member"


def _ask(story: Story) -> object:
    return request(story)


def _break_glass(story: Story) -> object:
    return break_glass(story, doctor())


@pytest.mark.parametrize("begin", [_ask, _break_glass])
def test_nobody_begins_anything_at_a_hospital_that_left(story: Story, begin: Callable[[Story], object]) -> None:
    story.consortium.leave(A)
    with pytest.raises(NotFound):
        begin(story)


def test_no_access_is_announced_to_a_custodian_that_left(story: Story) -> None:
    grant = story.wallet.share(story.consortium[B])
    story.consortium.leave(A)
    body = wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    node = story.consortium[B].node
    height = node.ledger.height()
    with pytest.raises(NotFound) as refused:
        run(accesses.open_access(node, doctor(), body))
    assert refused.value.place == "grant"
    assert node.ledger.height() == height


def test_what_it_contributed_while_it_was_a_member_is_verified_as_before(story: Story) -> None:
    written = contribute(story, story.consortium.exchange(B))
    story.consortium[A].settle()
    grant = story.wallet.share(story.consortium[C])
    story.consortium.leave(B)
    reading, who = story.reading_at(C), doctor()
    body = wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(story.consortium[C].node, who, body)).id
    shown = run(reading.read(who, access, written.record))
    assert json.loads(decode_bytes(shown.content, "content"))["code"] == {"text": "synthetic follow-up"}


def test_it_contributes_nothing_any_more(story: Story) -> None:
    who, access, _ = opened(story, "contribute", "read")
    story.consortium.leave(B)
    body = wire.ContributionBody(resource=json.dumps({"resourceType": "Observation", "status": "final", "code": {}}))
    with pytest.raises(Denied):
        run(contributions.contribute(story.consortium[B].node, story.consortium.exchange(B), who, access, body))
