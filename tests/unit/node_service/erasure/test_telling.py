"""Hospitals that hold copies are told, each as soon as it answers."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from node_service.database.erasure_models import ReleaseNotice
from tests.unit.node_service.erasure.office import Office
from tests.unit.node_service.sharing.consortium import B


def test_a_hospital_that_could_not_be_told_while_the_clock_was_ahead_is_told_when_the_clock_is_right(
    office: Office,
) -> None:
    office.share()
    record = office.record("Observation")
    clock = office.story.consortium.clock
    case = office.ask(record)
    office.unreachable.add(B)
    office.work()
    office.decide(case.id)
    office.work()
    office.restart()
    office.notifier.step(clock.now() + timedelta(days=3))
    assert unanswered(office) == [B]
    office.unreachable.clear()
    office.notifier.step(clock.now())
    assert unanswered(office) == []


def unanswered(office: Office) -> list[str]:
    with office.node.database.reading() as session:
        return list(session.scalars(select(ReleaseNotice.msp_id).where(ReleaseNotice.answer.is_(None))))
