"""Retraction, refiling under the right person, locks, and records that stand and fall together."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from sqlalchemy import select, text

from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import identifier
from domain.instants import instant
from domain.transactions import LockRecord
from node_service.access_log import fsck
from node_service.client import erasure_wire
from node_service.database.models import Record, Wrap
from node_service.erasure import deciding, locking, retracting
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit
from node_service.records.reading import open_version
from node_service.sharing import notices, wallet_records
from tests.unit.node_service.erasure.office import OFFICER, Office
from tests.unit.node_service.sharing.consortium import A, B, history, run


def other_person(office: Office) -> tuple[str, str]:
    """Another person of the hospital: patient id and Patient record."""
    stored = office.hospital.ingest(*history("p2"), source="elsewhere")
    found = next(one for one in stored if one.resource_type == "Patient")
    assert found.patient is not None
    return found.patient, found.record


def retract(
    office: Office, record: str, reason: str = "wrong-patient", patient: str | None = None
) -> erasure_wire.Retraction:
    done = retracting.retract(office.node, OFFICER, record, erasure_wire.RetractionBody(reason=reason, patient=patient))
    office.work()
    return done


def test_a_wrong_patients_record_is_closed_and_filed_anew_under_the_right_one(office: Office) -> None:
    who, _ = office.share()
    record, (right, patient_record) = office.record("Observation"), other_person(office)
    before = json.loads(open_version(office.node, record).content)
    done = retract(office, record, patient=right)
    assert done.retracted == [record]
    (filed,) = done.filed
    assert (filed.patient, filed.version, filed.resource_type) == (right, 1, "Observation")

    after = json.loads(open_version(office.node, filed.record).content)
    assert after["subject"]["reference"] == f"Patient/{patient_record}"
    assert after["id"] == filed.record
    assert after["valueQuantity"] == before["valueQuantity"]
    with pytest.raises(NotFound):
        open_version(office.node, record)
    with pytest.raises(NotFound):
        wallet_records.sealed_record(office.node, office.patient, record)
    with office.node.database.reading() as session:
        wraps = session.scalars(select(Wrap.recipient).where(Wrap.record == record)).all()
        entry = projection.state(session, "status", A, record)
    assert set(wraps) == {"custodian"}
    assert entry is not None
    assert (entry["status"], entry["reason"]) == ("retracted", "wrong-patient")
    told = notices.for_staff(office.story.consortium[B].node, who.id, [])
    assert [one.event for one in told] == ["shared-record-retracted"]
    assert fsck.check(office.node).findings == ()


def test_the_source_goes_on_with_the_record_under_the_right_person(office: Office) -> None:
    record, (right, _) = office.record("Observation"), other_person(office)
    (filed,) = retract(office, record, patient=right).filed
    with office.node.database.reading() as session:
        tokens = session.execute(text("SELECT count(*) FROM record_token WHERE record = :r"), {"r": record})
        assert tokens.scalar_one() == 0
        moved = session.execute(text("SELECT count(*) FROM record_token WHERE record = :r"), {"r": filed.record})
        assert moved.scalar_one() == 1


def test_entered_in_error_is_closed_without_a_successor_and_can_be_erased_later(office: Office) -> None:
    record = office.record("Condition")
    assert retract(office, record, "entered-in-error").filed == []
    with pytest.raises(Conflict):
        retract(office, record, "entered-in-error")
    with pytest.raises(NotFound):
        office.ask(record)
    case = deciding.order_erasure(office.node, OFFICER, erasure_wire.ErasureOrder(records=[record]))
    office.work()
    assert [item.state for item in office.case(case).items] == ["erased"]
    with pytest.raises(Invalid):
        retract(office, office.record("Observation"), "entered-in-error", patient=office.patient)
    with pytest.raises(Invalid):
        retract(office, office.record("Observation"), "because")


def test_a_record_is_not_filed_under_somebody_who_is_not_there_or_whose_it_is(office: Office) -> None:
    record = office.record("Observation")
    with pytest.raises(NotFound):
        retract(office, record, patient=identifier(os.urandom(16)))
    with pytest.raises(Invalid):
        retract(office, record, patient=office.patient)
    assert open_version(office.node, record).content


def test_what_was_made_from_one_source_falls_together(office: Office) -> None:
    source, sibling = office.record("Condition"), office.record("Observation")
    stranger = next(
        one for one in office.hospital.ingest(*history("p2"), source="x") if one.resource_type == "Condition"
    )
    with office.node.database.transaction() as session:
        for derived in (sibling, stranger.record, office.record("Encounter")):
            session.get_one(Record, derived).derived_from = source
    case = office.ask(sibling)
    items = {item.record: item.named for item in office.case(case.id).items}
    assert items == {sibling: True, source: False, office.record("Encounter"): False}
    office.decide(case.id)
    office.work()
    assert {item.state for item in office.case(case.id).items} == {"erased"}
    assert open_version(office.node, stranger.record).content


def test_relatives_are_kept_as_long_as_the_strictest_rule_says(keeping_office: Office) -> None:
    office = keeping_office
    stay = [
        one | {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
               "period": {"start": "2025-05-01", "end": "2025-05-09"}, "id": "stay"}
        for one in history()
        if one["resourceType"] == "Encounter"
    ]  # fmt: skip
    (encounter,) = [one for one in office.hospital.ingest(history()[0], *stay) if one.resource_type == "Encounter"]
    with office.node.database.transaction() as session:
        session.get_one(Record, office.record("Observation")).derived_from = encounter.record
    case = office.ask(office.record("Observation"))
    found = office.decide(case.id).items
    assert {(item.rule, item.until) for item in found} == {("cn-inpatient", "2055-05-10T00:00:00Z")}
    assert {item.record for item in found} == {office.record("Observation"), encounter.record}


def test_a_legal_hold_stands_against_an_erasure_and_is_only_prolonged(office: Office) -> None:
    record, clock = office.record("Observation"), office.story.consortium.clock
    until = instant(clock.now().replace(year=clock.now().year + 1))
    body = erasure_wire.LockBody(reason="litigation", until=until)
    assert run(locking.lock(office.node, OFFICER, record, body)).id == record
    assert run(locking.lock(office.node, OFFICER, record, body)).id == record
    case = office.ask(record)
    (item,) = office.decide(case.id).items
    assert (item.state, item.rule, item.until) == ("locked", "hold-litigation", until)
    sooner = erasure_wire.LockBody(
        reason="litigation", until=instant(clock.now().replace(year=clock.now().year, month=12))
    )
    with pytest.raises(Conflict):
        run(locking.lock(office.node, OFFICER, record, sooner))
    with pytest.raises(Invalid):
        run(
            locking.lock(
                office.node, OFFICER, record, erasure_wire.LockBody(reason="litigation", until=instant(clock.now()))
            )
        )
    clock.advance(367 * 86400)
    office.work(6)
    assert [one.state for one in office.case(case.id).items] == ["erased"]


def test_a_hold_that_comes_between_order_and_ledger_sends_the_order_back(office: Office) -> None:
    """The office has ordered the erasure; another worker's lock reaches the ledger first."""
    record, clock = office.record("Observation"), office.story.consortium.clock
    case = deciding.order_erasure(office.node, OFFICER, erasure_wire.ErasureOrder(records=[record]))
    until = instant(clock.now().replace(year=clock.now().year + 1))
    with office.node.database.transaction() as session:
        session.get_one(Record, record).status = "active"
    run(locking.lock(office.node, OFFICER, record, erasure_wire.LockBody(reason="litigation", until=until)))
    office.work()
    (item,) = office.case(case).items
    assert (item.state, item.until, item.rule) == ("locked", until, "hold-litigation")
    assert open_version(office.node, record).content


def test_locks_of_records_that_are_not_there_or_closed_are_refused(office: Office) -> None:
    clock = office.story.consortium.clock
    body = erasure_wire.LockBody(reason="litigation", until=instant(clock.now().replace(year=2099)))
    with pytest.raises(NotFound):
        run(locking.lock(office.node, OFFICER, identifier(os.urandom(16)), body))
    retract(office, office.record("Condition"), "entered-in-error")
    with pytest.raises(Conflict):
        run(locking.lock(office.node, OFFICER, office.record("Condition"), body))
    with pytest.raises(Invalid):
        run(locking.lock(office.node, OFFICER, office.record("Observation"), body.model_copy(update={"reason": "x"})))


def test_a_retraction_whose_place_a_held_erasure_took_still_reaches_the_ledger(office: Office) -> None:
    record, clock = office.record("Observation"), office.story.consortium.clock
    retracting.retract(
        office.node, OFFICER, record, erasure_wire.RetractionBody(reason="entered-in-error", patient=None)
    )
    deciding.order_erasure(office.node, OFFICER, erasure_wire.ErasureOrder(records=[record]))
    until = instant(clock.now().replace(year=clock.now().year + 1))
    submit(office.node, LockRecord(record, "litigation", until))
    office.work(6)
    with office.node.database.reading() as session:
        entry = projection.state(session, "status", A, record)
        assert session.get_one(Record, record).status == "retracted"
    assert entry is not None
    assert (entry["status"], entry["reason"]) == ("retracted", "entered-in-error")


def test_what_was_derived_between_wish_and_decision_goes_too(office: Office) -> None:
    source, sibling = office.record("Condition"), office.record("Observation")
    case = office.ask(source)
    with office.node.database.transaction() as session:
        session.get_one(Record, sibling).derived_from = source
    office.decide(case.id)
    office.work()
    items = {item.record: (item.named, item.state) for item in office.case(case.id).items}
    assert items == {source: (True, "erased"), sibling: (False, "erased")}


def test_what_is_derived_while_a_case_is_decided_goes_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sibling = office.record("Condition"), office.record("Observation")
    case, decisions = office.ask(source), deciding._decisions

    def derived_meanwhile(*args: Any) -> Any:
        found = decisions(*args)
        with office.node.database.transaction() as session:
            session.get_one(Record, sibling).derived_from = source
        return found

    monkeypatch.setattr(deciding, "_decisions", derived_meanwhile)
    office.decide(case.id)
    office.work()
    assert {item.record: item.state for item in office.case(case.id).items} == {source: "erased", sibling: "erased"}
