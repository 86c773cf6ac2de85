"""A patient's erasure statement: taken, anchored, decided, carried through, certified."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from domain import statements
from domain.erasure import Attested, ErasedRecord, Missing, records_digest, verify_certificate
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant, later
from domain.transactions import EraseRecord
from node_service import organization_keys
from node_service.access_log import fsck
from node_service.client import erasure_wire, exchange_wire, wire
from node_service.database.models import HeldConsent, Person, Record, RecordVersion, Wrap
from node_service.erasure import cases, deciding, received
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit
from node_service.records.bundles import reassemble_bundle
from node_service.records.ingest import ingest_fhir
from node_service.records.persons import Card, open_card
from node_service.records.reading import open_version
from node_service.records.scrub import check_objects
from node_service.sharing import accesses, notices, relaying, wallet_records
from node_service.sharing.patient_wraps import PatientWraps
from tests.unit.node_service.erasure.office import OFFICER, Office, request
from tests.unit.node_service.sharing.consortium import A, B, C, history, run


def signing_key(office: Office) -> str:
    keys = organization_keys.published_keys(office.node.secrets, office.node.clock.now())
    return next(key.key for key in keys if key.use == "signing")


def test_an_erased_record_opens_nowhere_and_the_audit_trail_stands(office: Office) -> None:
    record = office.record("Observation")
    before = open_version(office.node, record).digest
    case = office.ask(record)
    assert [item.state for item in office.case(case.id).items] == ["requested"]
    assert open_version(office.node, record).content

    assert [item.state for item in office.decide(case.id).items] == ["erasing"]
    office.work()
    (item,) = office.case(case.id).items
    assert (item.state, item.named, item.missing, item.attested) == ("erased", True, [], [])
    with pytest.raises(NotFound):
        open_version(office.node, record)
    with pytest.raises(NotFound):
        wallet_records.sealed_record(office.node, office.patient, record)
    assert not office.node.blobs.exists(before)
    with office.node.database.reading() as session:
        assert session.scalars(select(Wrap).where(Wrap.record == record)).all() == []
        version = session.get_one(RecordVersion, (record, 1))
        assert (version.undo, version.clinical_start, version.content_token) == (None, None, b"")
        assert session.execute(text("SELECT count(*) FROM bundle_skeleton")).scalar_one() == 0
        row = session.get_one(Record, record)
        assert (row.status, row.resource_type, row.category) == ("erased", "", "")
    assert open_version(office.node, office.record("Condition")).content
    assert fsck.check(office.node).findings == ()
    assert check_objects(office.node) == []


def test_the_patient_sees_the_erasure_and_that_it_was_asked_for(office: Office) -> None:
    case = office.ask(office.record("Observation"))
    office.decide(case.id)
    office.work()
    page = wallet_records.list_records(office.node, office.patient)
    shown = next(entry for entry in page.items if entry.record == office.record("Observation"))
    assert (shown.status, shown.resource_type, shown.clinical_start) == ("erased", "", None)
    events = [one.event for one in notices.for_patient(office.node, office.patient)]
    assert events[:2] == ["record-erased", "erasure-ordered"]


def test_the_certificate_is_signed_and_names_keys_attestations_and_what_is_missing(office: Office) -> None:
    record = office.record("Observation")
    office.share()
    case = office.ask(record)
    office.unreachable = {B}
    office.decide(case.id)
    office.work()
    first = office.case(case.id).certificate
    assert first is not None
    (erased,) = verify_certificate(first.text, first.signature, signing_key(office)).erased
    assert erased.missing == (Missing(B, "not-told"),)

    office.unreachable = set()
    office.story.consortium.clock.advance(30)
    office.work()
    signed = office.case(case.id).certificate
    assert signed is not None
    certificate = verify_certificate(signed.text, signed.signature, signing_key(office))
    (erased,) = certificate.erased
    assert (certificate.statement, certificate.custodian, certificate.kept) == (case.id, A, ())
    assert (erased.record, erased.attested, erased.missing) == (record, (Attested(B, None),), ())
    forgotten = office.node.custody.forgotten(record)
    assert forgotten is not None
    assert (erased.keys_destroyed_at, erased.final_by) == (forgotten.at, forgotten.final_by)
    with office.node.database.reading() as session:
        written = projection.transaction_of(session, "status", A, record)
        assert written is not None
        assert (written.tx_id, written.name) == (erased.tx_id, "EraseRecord")
    changed = signed.text.replace(erased.final_by, later(erased.final_by, timedelta(days=1)))
    with pytest.raises(Tampered):
        verify_certificate(changed, signed.signature, signing_key(office))


def _certified(office: Office, case: str) -> ErasedRecord:
    signed = office.case(case).certificate
    assert signed is not None
    (erased,) = verify_certificate(signed.text, signed.signature, signing_key(office)).erased
    return erased


def test_the_certificate_says_when_it_became_final_however_late_that_was(office: Office) -> None:
    case = office.ask(record := office.record("Observation"))
    office.decide(case.id)
    office.work()
    promised = _certified(office, case.id)
    assert promised.final_at is None
    office.story.consortium.clock.advance(5 * 86400)
    office.work(1)
    assert _certified(office, case.id) == promised
    final = instant(office.node.clock.now())
    assert final > promised.final_by
    office.node.custody.rekey(final)
    office.work(1)
    assert _certified(office, case.id) == replace(promised, final_by=final, final_at=final)
    assert [item.final_at for item in office.case(case.id).items] == [final]
    assert office.keeper._open_cases() == []
    assert record == promised.record


def test_a_custody_that_lost_what_it_forgot_is_told_again_when_the_node_starts(office: Office, tmp_path: Path) -> None:
    """Its folder was put back to an older copy, without a restore."""
    folder = office.node.custody._directory
    shutil.copytree(folder, tmp_path / "older")
    case = office.ask(record := office.record("Observation"))
    office.decide(case.id)
    office.work()
    office.node.custody.rekey(instant(office.node.clock.now()))
    office.work(1)
    before = _certified(office, case.id)
    assert before.final_at is not None
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "older", folder)
    assert office.node.custody.forgotten(record) is None
    office.restart()
    office.work(1)
    forgotten = office.node.custody.forgotten(record)
    assert forgotten is not None
    assert forgotten.at > before.keys_destroyed_at
    assert _certified(office, case.id) == replace(
        before, keys_destroyed_at=forgotten.at, final_by=forgotten.final_by, final_at=None
    )


def test_a_hospital_that_read_the_record_loses_its_keys_attests_and_tells_its_reader(office: Office) -> None:
    who, access = office.share()
    reader = office.story.consortium[B].node
    case = office.ask(office.record("Observation"))
    office.decide(case.id)
    office.work()
    with reader.database.reading() as session, pytest.raises(NotFound):
        accesses.own_opening(reader, session, who.id, access)
    told = notices.for_staff(reader, who.id, [])
    assert [(one.event, one.references) for one in told] == [
        ("shared-record-erased", [A, office.record("Observation")])
    ]
    (item,) = office.case(case.id).items
    assert [(one.msp_id, one.retained_until) for one in item.attested] == [(B, None)]
    assert office.case(case.id).items[0].missing == []
    with reader.database.reading() as session:
        grant = session.scalars(select(HeldConsent.id).where(HeldConsent.role == "grantee")).one()
    opened = run(
        accesses.open_access(
            reader, who, wire.OpenAccessBody(patient=office.story.wallet.patient, grant=grant, purpose="TREAT")
        )
    )
    chart = run(office.story.reading.chart(who, opened.id))
    assert office.record("Observation") not in {one.entry.record for one in chart.items}
    assert chart.items


def test_what_has_to_be_kept_is_locked_and_erased_when_the_rule_ends(keeping_office: Office) -> None:
    office = keeping_office
    record = office.record("Observation")
    case = office.ask(record)
    (item,) = office.decide(case.id).items
    assert (item.state, item.rule, item.until) == ("locked", "cn-outpatient", "2040-05-02T00:00:00Z")
    office.work()
    assert open_version(office.node, record).content
    with office.node.database.reading() as session:
        entry = projection.state(session, "status", A, record)
    assert entry is not None
    assert (entry["status"], entry["reason"], entry["until"]) == ("locked", "retention", item.until)
    assert office.case(case.id).certificate is None

    office.story.consortium.clock.advance(15 * 366 * 86400)
    office.work(6)
    (item,) = office.case(case.id).items
    assert item.state == "erased"
    assert office.case(case.id).certificate is not None


def test_a_locked_record_is_released_to_nobody_meanwhile(keeping_office: Office) -> None:
    office = keeping_office
    who, access = office.share()
    case = office.ask(office.record("Observation"))
    office.decide(case.id)
    office.work()
    chart = run(office.story.reading.chart(who, access))
    assert office.record("Observation") not in {one.entry.record for one in chart.items}


def test_nobody_names_anothers_record(office: Office) -> None:
    stored = office.hospital.ingest(*history("p2"), source="elsewhere")
    foreign = next(one for one in stored if one.resource_type == "Observation")
    assert foreign.patient != office.patient
    for unknown in (foreign.record, identifier(os.urandom(16)), office.record("Organization")):
        with pytest.raises(NotFound) as refused:
            office.ask(office.record("Observation"), unknown)
        assert (refused.value.reason, refused.value.place) == ("no-record", "")
    assert open_version(office.node, foreign.record).content


def test_a_statement_that_names_other_records_is_not_this_patients_or_of_another_kind_is_refused(
    office: Office,
) -> None:
    record = office.record("Observation")
    other = records_digest([office.record("Condition")], bytes(32))
    with pytest.raises(Invalid) as refused:
        office.ask(record, digest=other)
    assert refused.value.reason == "records-digest"
    with pytest.raises(Denied):
        office.ask(record, custodian=C)
    with pytest.raises(Denied):
        office.ask(record, key_epoch=2)
    body = request(office.story.wallet, record)
    forged = body.model_copy(update={"signature": encode_bytes(bytes(64))})
    with pytest.raises(Denied):
        run(cases.request_erasure(office.node, office.patient, forged))
    with pytest.raises(Denied) as refused_patient:
        run(cases.request_erasure(office.node, identifier(os.urandom(16)), body))
    assert refused_patient.value.reason == "other-patient"
    text_, signature = office.story.wallet.sign(statements.RevokeEverything(2))
    with pytest.raises(Invalid):
        run(cases.request_erasure(office.node, office.patient, body.model_copy(
            update={"statement": text_, "signature": signature})))  # fmt: skip
    with office.node.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM erasure_case")).scalar_one() == 0


def test_the_same_statement_again_is_one_case(office: Office) -> None:
    body = request(office.story.wallet, office.record("Observation"))
    first = run(cases.request_erasure(office.node, office.patient, body))
    assert run(cases.request_erasure(office.node, office.patient, body)).id == first.id
    with office.node.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM erasure_case")).scalar_one() == 1


def test_an_undecided_or_unanchored_case_erases_nothing(office: Office) -> None:
    case = office.ask(office.record("Observation"))
    office.work()
    assert open_version(office.node, office.record("Observation")).content
    with office.node.database.transaction() as session:
        key = projection.composite_key("statement", "erasure-request", case.id)
        session.execute(text("DELETE FROM ledger_state WHERE key = :key"), {"key": key})
    with pytest.raises(Conflict) as refused:
        office.decide(case.id)
    assert refused.value.reason == "not-anchored"


def test_erased_is_final_for_the_source_that_sends_the_record_again(office: Office) -> None:
    record = office.record("Observation")
    case = office.ask(record)
    office.decide(case.id)
    office.work()
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in history()]
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    report = ingest_fhir(office.node, body, "application/fhir+json", "his")
    assert [issue.reason.split(":")[0] for issue in report.refused] == ["record-erased"]
    with pytest.raises(NotFound):
        open_version(office.node, record)
    with office.node.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM bundle_skeleton")).scalar_one() == 0


def test_the_hospital_erases_by_itself_what_its_rules_allow(office: Office) -> None:
    order = erasure_wire.ErasureOrder(records=[office.record("Observation"), office.record("Condition")])
    case = deciding.order_erasure(office.node, OFFICER, order)
    office.work()
    found = office.case(case)
    assert (found.kind, {item.state for item in found.items}) == ("hospital", {"erased"})
    assert found.certificate is not None
    with pytest.raises(NotFound):
        deciding.order_erasure(office.node, OFFICER, erasure_wire.ErasureOrder(records=[office.record("Organization")]))


def test_with_the_last_patient_resource_the_persons_card_goes(office: Office) -> None:
    own = [one.record for one in office.story.records.values() if one.patient == office.patient]
    case = office.ask(*own)
    office.decide(case.id)
    office.work()
    assert {item.state for item in office.case(case.id).items} == {"erased"}
    with office.node.database.reading() as session:
        assert open_card(office.node, session.get_one(Person, office.patient)) == Card()
        assert session.execute(text("SELECT count(*) FROM person_token")).scalar_one() == 0


def test_a_bundle_can_no_longer_be_put_together(office: Office) -> None:
    with office.node.database.reading() as session:
        bundle = session.execute(text("SELECT id FROM bundle_skeleton")).scalar_one()
    assert reassemble_bundle(office.node, bundle)
    case = office.ask(office.record("Observation"))
    office.decide(case.id)
    office.work()
    with pytest.raises(NotFound):
        reassemble_bundle(office.node, bundle)
    assert office.node.custody.forgotten(bundle) is not None


def test_a_restored_database_erases_again_what_the_ledger_calls_erased(office: Office) -> None:
    case = office.ask(office.record("Observation"))
    office.decide(case.id)
    office.work()
    with office.node.database.transaction() as session:
        session.execute(text("DELETE FROM removal"))
        session.execute(text("UPDATE record SET status = 'active' WHERE status = 'erased'"))
    office.restart()
    office.work()
    with office.node.database.reading() as session:
        assert session.get_one(Record, office.record("Observation")).status == "erased"


class _ErasedMeanwhile:
    """A custody at which the rows of a record are erased between the opening of its key and what is made of it."""

    def __init__(self, office: Office, record: str) -> None:
        self._office, self._record = office, record

    def unwrap_many(self, *args: Any) -> Any:
        opened = self._office.node.custody.unwrap_many(*args)
        with self._office.node.database.transaction() as session:
            session.execute(delete(Wrap).where(Wrap.record == self._record))
            session.get_one(Record, self._record).status = "erased"
        return opened


def test_no_wrap_is_written_for_the_patient_once_the_record_is_erased(office: Office) -> None:
    record = office.record("Observation")
    with office.node.database.transaction() as session:
        session.execute(delete(Wrap).where(Wrap.record == record, Wrap.recipient == "patient"))
    wraps = PatientWraps(replace(office.node, custody=_ErasedMeanwhile(office, record)))
    wraps.step(office.node.clock.now())
    with office.node.database.reading() as session:
        assert session.scalars(select(Wrap.recipient).where(Wrap.record == record)).all() == []


def test_an_erasure_that_a_restored_node_learns_of_late_is_done_again(office: Office) -> None:
    """The remover began before the follower had read the block."""
    record = office.record("Observation")
    office.restart()
    office.work()
    submit(office.node, EraseRecord((record,)))
    office.work()
    with office.node.database.reading() as session:
        assert session.get_one(Record, record).status == "erased"
    assert office.node.custody.forgotten(record) is not None


@pytest.mark.parametrize("event", ["erased", "retracted"])
def test_a_hospital_cannot_send_notices_about_what_is_not_its_own_or_not_on_the_ledger(
    office: Office, event: str
) -> None:
    office.share()
    record, reader = office.record("Observation"), office.story.consortium[B].node
    notice = {"id": identifier(os.urandom(16)), "record": record, "event": event, "version": 1}
    body = exchange_wire.NoticeDelivery.model_validate({"notices": [notice]})
    receipt = run(received.accept_notices(reader, C, body))
    assert (receipt.accepted, receipt.unknown) == ([], [notice["id"]])
    with pytest.raises(Conflict) as refused:
        run(received.accept_notices(reader, A, body))
    assert refused.value.reason == "not-on-ledger"
    with reader.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM received_notice")).scalar_one() == 0
        assert session.execute(text("SELECT count(*) FROM opened_access WHERE secret IS NULL")).scalar_one() == 0


def test_a_new_version_is_told_to_those_who_read_the_old_one(office: Office) -> None:
    who, _ = office.share()
    office.story.consortium.clock.advance(5)
    changed = [one | {"status": "amended"} if one["resourceType"] == "Observation" else one for one in history()]
    office.hospital.ingest(*changed)
    office.work()
    reader = office.story.consortium[B].node
    told = [(one.event, one.references) for one in notices.for_staff(reader, who.id, [])]
    assert told == [("shared-record-superseded", [A, office.record("Observation")])]
    office.work()
    assert len(notices.for_staff(reader, who.id, [])) == 1


def test_another_member_anchors_the_wish_before_the_custodian_hears_of_it(office: Office) -> None:
    body = request(office.story.wallet, office.record("Observation"))
    relayed = wire.SignedStatementBody(statement=body.statement, signature=body.signature)
    done = run(relaying.relay(office.story.consortium[B].node, relayed))
    with office.node.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM erasure_case")).scalar_one() == 0
    asked = run(cases.request_erasure(office.node, office.patient, body))
    assert asked.id == done.id
    with office.node.database.reading() as session:
        written = projection.transaction_of(session, "statement", "erasure-request", done.id)
    assert written is not None
    assert (written.creator, written.tx_id) == (B, done.tx_id)
    assert [item.state for item in office.decide(done.id).items] == ["erasing"]


def test_a_record_whose_object_is_lost_can_be_erased_all_the_same(office: Office) -> None:
    record = office.record("Observation")
    assert office.node.blobs.delete(open_version(office.node, record).digest)
    case = office.ask(record)
    office.decide(case.id)
    office.work()
    assert [item.state for item in office.case(case.id).items] == ["erased"]
