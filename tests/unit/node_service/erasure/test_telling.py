"""Hospitals that hold copies are told, each as soon as it answers."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from domain.erasure import Attested, Missing, parse_certificate
from domain.instants import instant
from node_service.database.erasure_models import ErasureCase, ReleaseNotice
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


def test_a_hospital_that_left_the_channel_is_not_asked_for_ever_and_is_told_when_it_comes_back(office: Office) -> None:
    """Its copy is not attested, and the certificate says so; only a member can be told, and can attest."""
    office.share()
    record, consortium = office.record("Observation"), office.story.consortium
    case = office.ask(record)
    consortium.leave(B)
    office.work()
    office.decide(case.id)
    office.work()
    office.node.custody.rekey(instant(office.node.clock.now()))
    office.work()
    assert office.asked == []
    assert is_open(office, case.id) is False
    certificate = office.case(case.id).certificate
    assert certificate is not None
    assert parse_certificate(certificate.text).erased[0].missing == (Missing(B, "not-told"),)

    consortium.come_back(B)
    office.work()
    assert (office.asked, unanswered(office)) == ([B], [])
    certificate = office.case(case.id).certificate
    assert certificate is not None
    assert parse_certificate(certificate.text).erased[0].attested == (Attested(B, None),)
    assert is_open(office, case.id) is False


def is_open(office: Office, case: str) -> bool:
    with office.node.database.reading() as session:
        return bool(session.get_one(ErasureCase, case).is_open)


def unanswered(office: Office) -> list[str]:
    with office.node.database.reading() as session:
        return list(session.scalars(select(ReleaseNotice.msp_id).where(ReleaseNotice.answer.is_(None))))
