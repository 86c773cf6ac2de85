"""Break-glass: told before the answer, limited, closed by a dissent, reviewed by both, never outside the demo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domain.errors import Conflict, Denied, NotFound, Unavailable
from domain.identifiers import identifier
from node_service.client import exchange_wire, wire
from node_service.ledger_sync import projection
from node_service.sharing import accesses, emergencies, notices, reviews
from node_service.sharing.practitioners import Practitioner
from tests.unit.node_service.sharing.conftest import Story, begin_story
from tests.unit.node_service.sharing.consortium import A, B, C, Wallet, doctor, found_consortium, history, run

CATEGORIES = ["problem", "result"]


def break_glass(story: Story, who: Practitioner, card: wire.PatientCard | None = None) -> wire.AccessHandle:
    body = wire.EmergencyBody(card=card or story.wallet.card, reason="unconscious", categories=CATEGORIES)
    return run(accesses.open_emergency(story.consortium[B].node, who, body))


def officer() -> str:
    return identifier(os.urandom(16))


def test_a_broken_glass_shows_the_named_categories_and_no_others(story: Story) -> None:
    who = doctor()
    chart = run(story.reading.chart(who, break_glass(story, who).id))
    shown = {item.entry.resource_type for item in chart.items if item.entry.kind == "patient"}
    assert shown == {"Condition", "Observation"}


def test_the_patient_is_told_before_anything_is_answered(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    who, node = doctor(), story.consortium[A].node
    handle = break_glass(story, who)

    def broken(*_: object, **__: object) -> None:
        raise Unavailable("the notice cannot be written", reason="database")

    with monkeypatch.context() as patched:
        patched.setattr(emergencies, "notify", broken)
        with pytest.raises(Unavailable):
            run(story.reading.chart(who, handle.id))
    run(story.reading.chart(who, handle.id))
    told = notices.for_patient(node, story.wallet.patient)
    assert [(one.event, one.references) for one in told] == [("break-glass", [handle.id])]
    assert [one.event for one in notices.for_staff(node, "nobody", ["privacy-officer"])] == ["break-glass"]


def test_a_dissent_that_names_break_glass_keeps_the_door_shut(story: Story) -> None:
    who = doctor()
    handle = break_glass(story, who)
    story.wallet.dissent(("BTG",), ("billing",))
    with pytest.raises(Denied) as refused:
        run(story.reading.chart(who, handle.id))
    assert refused.value.reason == "dissent"
    assert notices.for_patient(story.consortium[A].node, story.wallet.patient) == []


def test_an_emergency_for_one_patient_opens_no_other(story: Story) -> None:
    who = doctor()
    handle = break_glass(story, who)
    with story.consortium[B].node.database.reading() as session:
        opening = accesses.own_opening(story.consortium[B].node, session, who.id, handle.id)
    body = exchange_wire.ExchangeSearch(opening=opening.wire().model_copy(update={"patient": identifier(bytes(16))}))
    with pytest.raises(Denied):
        run(story.consortium.exchange(B).search(A, body))
    with pytest.raises(Denied):
        run(story.consortium.exchange(C).search(A, exchange_wire.ExchangeSearch(opening=opening.wire())))


def test_an_emergency_ends_after_four_hours(story: Story) -> None:
    who = doctor()
    handle = break_glass(story, who)
    story.consortium.clock.advance(4 * 3600)
    with pytest.raises(NotFound):
        run(story.reading.chart(who, handle.id))


def test_the_fourth_patient_within_an_hour_waits_for_the_duty_officer(story: Story) -> None:
    who, node = doctor(), story.consortium[A].node
    others = [begin_story_of_another(story, number) for number in range(3)]
    for other in others:
        run(story.reading.search(who, break_glass(story, who, other.wallet.card).id))
    handle = break_glass(story, who)
    with pytest.raises(Unavailable) as held:
        run(story.reading.search(who, handle.id))
    assert held.value.reason == "held"
    assert notices.for_patient(node, story.wallet.patient) == []
    emergencies.decide_held(node, officer(), handle.id, approve=True)
    assert run(story.reading.search(who, handle.id)).items
    assert [one.event for one in notices.for_patient(node, story.wallet.patient)] == ["break-glass"]
    with pytest.raises(Conflict):
        emergencies.decide_held(node, officer(), handle.id, approve=False)


def test_what_the_duty_officer_refuses_stays_shut(story: Story) -> None:
    who, node = doctor(), story.consortium[A].node
    for number in range(3):
        other = begin_story_of_another(story, number)
        run(story.reading.search(who, break_glass(story, who, other.wallet.card).id))
    handle = break_glass(story, who)
    with pytest.raises(Unavailable):
        run(story.reading.search(who, handle.id))
    emergencies.decide_held(node, officer(), handle.id, approve=False)
    with pytest.raises(Denied):
        run(story.reading.search(who, handle.id))


def test_both_hospitals_review_and_nobody_reviews_their_own(story: Story) -> None:
    who = doctor()
    handle = break_glass(story, who)
    run(story.reading.chart(who, handle.id))
    body = wire.ReviewBody(outcome="justified", note="patient was unconscious")
    with pytest.raises(Denied) as own:
        run(reviews.review(story.consortium[B].node, who.id, handle.id, body))
    assert own.value.reason == "self-review"
    for msp_id in (A, B):
        reviewer, node = officer(), story.consortium[msp_id].node
        first = run(reviews.review(node, reviewer, handle.id, body))
        assert run(reviews.review(node, reviewer, handle.id, body)).id == first.id
        with pytest.raises(Conflict):
            run(reviews.review(node, officer(), handle.id, body))
    with pytest.raises(NotFound):
        run(reviews.review(story.consortium[C].node, officer(), handle.id, body))
    story.consortium[A].commits.follow()
    with story.consortium[A].node.database.reading() as session:
        sides = [names[1] for names, _ in projection.states(session, "review", handle.id)]
    assert sorted(sides) == sorted([A, B])
    events = [one.event for one in notices.for_patient(story.consortium[A].node, story.wallet.patient)]
    assert events == ["break-glass-reviewed", "break-glass"]


def test_outside_the_demo_profile_break_glass_needs_what_does_not_exist_yet(tmp_path: Path) -> None:
    consortium = found_consortium(tmp_path, profile="pilot")
    try:
        story = begin_story(consortium)
        with pytest.raises(Denied) as refused:
            break_glass(story, doctor())
        assert refused.value.reason == "second-factor-required"
    finally:
        consortium.close()


def begin_story_of_another(story: Story, number: int) -> Story:
    """Another enrolled patient at A."""
    stored = story.consortium[A].ingest(*history(f"other{number}"), source=f"source{number}")
    patient = next(one.patient for one in stored if one.resource_type == "Patient")
    assert patient is not None
    wallet = Wallet(story.consortium[A], patient)
    wallet.enrol()
    story.consortium.follow()
    return Story(story.consortium, wallet, {one.resource_type: one for one in stored})
