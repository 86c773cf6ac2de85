"""What the custodian refuses, each by the reason it writes down, and none of it with data."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import select

from domain import entries, leaves, statements
from domain.entries import GrantEntry, PatientEntry
from domain.errors import Denied, Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.transactions import (
    AuthorizeAccess,
    CloseRegistration,
    EraseRecord,
    LockRecord,
    RetractRecord,
    RevokeAll,
    Transaction,
    encode,
)
from node_service.client import exchange_wire, wire
from node_service.database.models import AccessRow, HeldConsent, LedgerState, Record
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.submission import submit_and_wait
from node_service.records.reading import open_version
from node_service.sharing import accesses, consents, objects, openings, release
from node_service.sharing.practitioners import Practitioner
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, Wallet, doctor, history, run


def opened(story: Story, grant: str | None = None, who: Practitioner | None = None) -> accesses.OwnOpening:
    """An access of hospital B under a grant."""
    node, who = story.consortium[B].node, who or doctor()
    grant = grant or story.wallet.share(story.consortium[B])
    handle = run(
        accesses.open_access(node, who, wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"))
    )
    with node.database.reading() as session:
        return accesses.own_opening(node, session, who.id, handle.id)


def ask(
    story: Story, opening: accesses.OwnOpening, *records: str, caller: str = B, **changes: object
) -> exchange_wire.Released:
    """Release at A, as ``caller``."""
    body = exchange_wire.ExchangeRelease(
        opening=opening.wire().model_copy(update=changes),
        public_key=encode_bytes(opening.private_key.public.raw),
        records=list(records) or [one.record for one in story.records.values()],
    )
    return run(release.release(story.consortium[A].node, caller, body))


def reason_of(call: Callable[[], object]) -> str:
    """Why it was refused."""
    with pytest.raises(YilianError) as refused:
        call()
    return refused.value.reason


def outcomes(story: Story) -> list[str]:
    """The outcomes in A's access log, in its order."""
    with story.consortium[A].node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).order_by(AccessRow.id)).all()
    return [leaves.parse_access_leaf(row).outcome for row in rows]


def last_outcome(story: Story) -> str:
    """The outcome in the newest row of A's access log."""
    return outcomes(story)[-1]


def released_ids(answer: exchange_wire.Released) -> set[str]:
    return {item.entry.record for item in answer.items}


def test_another_hospital_cannot_use_the_access(story: Story) -> None:
    opening = opened(story)
    assert reason_of(lambda: ask(story, opening, caller=C)) == "other-organization"
    assert last_outcome(story) == "other-organization"


def test_an_access_that_is_on_no_ledger_is_refused(story: Story) -> None:
    opening = replace(opened(story), id=identifier(os.urandom(16)))
    assert reason_of(lambda: ask(story, opening)) == "no-entry"


def test_an_access_about_one_patient_opens_no_other(story: Story) -> None:
    stored = story.consortium[A].ingest(*history("p2"), source="other")
    other = next(one for one in stored if one.resource_type == "Patient")
    opening = opened(story)
    assert reason_of(lambda: ask(story, opening, patient=other.patient)) == "other-patient"
    assert not released_ids(ask(story, opening, *(one.record for one in stored if one.resource_type != "Organization")))


def test_an_access_ends_on_the_second(story: Story) -> None:
    opening = opened(story)
    story.consortium.clock.advance(899)
    assert ask(story, opening).items
    story.consortium.clock.advance(1)
    assert reason_of(lambda: ask(story, opening)) == "expired"


def test_a_grant_ends_on_the_second_by_the_custodians_own_clock(story: Story) -> None:
    now = story.consortium.clock.now()
    grant = story.wallet.share(story.consortium[B], valid_until=instant(now + timedelta(seconds=600)))
    opening = opened(story, grant)
    assert opening.valid_until == instant(now + timedelta(seconds=600))
    story.consortium.clock.at = now + timedelta(seconds=599)
    assert ask(story, opening).items
    story.consortium.clock.at = now + timedelta(seconds=600)
    assert reason_of(lambda: ask(story, opening)) == "expired"


def test_revoking_all_ends_every_open_access(story: Story) -> None:
    opening = opened(story)
    story.wallet.relay(statements.RevokeEverything(2), through=story.consortium[C])
    assert reason_of(lambda: ask(story, opening)) == "below-floor"


def test_a_grant_revoked_before_it_arrived_never_opens(story: Story) -> None:
    body = story.wallet.signed_grant()
    grant = statements.parse(body.statement).envelope.id
    story.wallet.relay(statements.Revoke("grant", grant), through=story.consortium[C])
    node = story.consortium[A].node
    assert reason_of(lambda: run(consents.receive_grant(node, story.wallet.patient, body))) == "revoked"
    with node.database.reading() as session:
        assert session.get(HeldConsent, (story.wallet.patient, grant, "custodian")) is None


def test_a_dissent_withholds_what_a_live_grant_allows(story: Story) -> None:
    opening = opened(story)
    story.wallet.dissent(("TREAT",), ("result",))
    shown = released_ids(ask(story, opening))
    assert story.records["Observation"].record not in shown
    assert story.records["Condition"].record in shown


def test_a_closed_registration_ends_every_grant(story: Story) -> None:
    opening = opened(story)
    run(submit_and_wait(story.consortium[A].node, CloseRegistration(story.wallet.patient, "patient-request")))
    assert reason_of(lambda: ask(story, opening)) == "closed"


def test_categories_outside_the_terms_stay_here(story: Story) -> None:
    opening = opened(story, story.wallet.share(story.consortium[B], categories=("result",)))
    assert released_ids(ask(story, opening)) == {story.records["Observation"].record}


def test_records_stored_after_the_cut_stay_here(story: Story) -> None:
    cut = instant(story.consortium.clock.now() - timedelta(hours=1))
    opening = opened(story, story.wallet.share(story.consortium[B], recorded_until=cut))
    assert not ask(story, opening).items


def test_a_record_that_the_patient_withholds_looks_like_one_that_does_not_exist(story: Story) -> None:
    hidden = story.records["Condition"].record
    consent = story.wallet.consent(withheld=[f"Condition/{hidden}"])
    opening = opened(story, story.wallet.share(story.consortium[B], consent))
    absent = identifier(os.urandom(16))
    assert ask(story, opening, hidden).items == ask(story, opening, absent).items == []
    assert story.records["Observation"].record in released_ids(ask(story, opening))


def test_only_the_named_practitioner_opens(story: Story) -> None:
    named = doctor()
    consent = story.wallet.consent(practitioner=named.id)
    grant = story.wallet.share(story.consortium[B], consent, practitioner=named.id)
    assert reason_of(lambda: opened(story, grant, doctor())) == "other-practitioner"
    assert ask(story, opened(story, grant, named)).items


def test_a_consent_that_looks_at_the_clinical_date_is_decided_on_the_content(story: Story) -> None:
    consent = story.wallet.consent()
    provision = consent["provision"]
    assert isinstance(provision, dict)
    provision["dataPeriod"] = {"start": "2025-01-01", "end": "2025-12-31"}
    shown = released_ids(ask(story, opened(story, story.wallet.share(story.consortium[B], consent))))
    assert story.records["Observation"].record in shown
    assert story.records["Condition"].record not in shown


@pytest.mark.parametrize("status", ["retracted", "locked", "erased"])
def test_what_is_not_active_on_the_ledger_is_never_released(story: Story, status: str) -> None:
    record, node = story.records["Condition"].record, story.consortium[A].node
    opening = opened(story)
    until = instant(story.consortium.clock.now() + timedelta(days=1))
    transactions: dict[str, Transaction] = {
        "retracted": RetractRecord(record, "entered-in-error"),
        "locked": LockRecord(record, "litigation", until),
        "erased": EraseRecord((record,)),
    }
    run(submit_and_wait(node, transactions[status]))
    assert record not in released_ids(ask(story, opening))


def test_what_the_own_database_calls_retracted_is_never_released(story: Story) -> None:
    record, node = story.records["Condition"].record, story.consortium[A].node
    opening = opened(story)
    with node.database.transaction() as session:
        session.get_one(Record, record).status = "retracted"
    assert record not in released_ids(ask(story, opening))


def test_only_the_announced_one_use_key_gets_keys(story: Story) -> None:
    stolen = replace(opened(story), private_key=RecipientPrivateKey.generate(HPKE_HYBRID))
    assert reason_of(lambda: ask(story, stolen)) == "one-use-key"
    assert last_outcome(story) == "one-use-key"


def test_a_grant_that_peers_forged_into_the_state_is_an_alarm_and_no_release(story: Story) -> None:
    """Peers rewrite the patient's key and the grant's signer in the projection; the enrolment register knows better."""
    node, opening = story.consortium[A].node, opened(story)
    forger = Wallet(story.consortium[A], story.wallet.patient)
    with node.database.transaction() as session:
        key = projection.composite_key("patient", story.wallet.patient)
        patient = session.get_one(LedgerState, key)
        patient.value = entries.encode(replace(entries.parse(PatientEntry, patient.value), keys=forger.keys))
        grant = projection.transaction_of(session, "grant", story.wallet.patient, _grant_of(story))
        assert grant is not None
        statement = statements.parse(_argument(grant.arguments, "statement"))
        text = statement.encode()
        forged = encode_bytes(forger.signing.sign(text.encode()))
        grant.arguments = encode(AuthorizeAccess(text, forged))[1]
    openings._verify.cache_clear()
    with pytest.raises(Tampered):
        ask(story, opening)


def test_a_genuine_grant_at_another_custodian_stops_no_releases_here(story: Story) -> None:
    """Who endorses a registration sees the patient's id, and may register it as its own first, then grant under it."""
    node, opening = story.consortium[A].node, opened(story)
    thief = Wallet(story.consortium[A], story.wallet.patient)
    with node.database.transaction() as session:
        row = session.get_one(LedgerState, projection.composite_key("grant", story.wallet.patient, _grant_of(story)))
        row.value = entries.encode(replace(entries.parse(GrantEntry, row.value), custodian=C))
        grant = projection.transaction_of(session, "grant", story.wallet.patient, _grant_of(story))
        assert grant is not None
        statement = statements.parse(_argument(grant.arguments, "statement"))
        text = replace(statement, envelope=replace(statement.envelope, custodian=C)).encode()
        signed = encode_bytes(thief.signing.sign(text.encode()))
        grant.arguments = encode(AuthorizeAccess(text, signed))[1]
    with pytest.raises(Denied) as refused:
        ask(story, opening)
    assert refused.value.reason == "other-custodian"
    with node.database.reading() as session:
        assert not alarms(session)


def test_wider_terms_in_the_state_than_were_signed_are_an_alarm(story: Story) -> None:
    node = story.consortium[A].node
    opening = opened(story, story.wallet.share(story.consortium[B], categories=("result",)))
    with node.database.transaction() as session:
        row = session.get_one(LedgerState, projection.composite_key("grant", story.wallet.patient, _grant_of(story)))
        entry = entries.parse(GrantEntry, row.value)
        assert entry.terms is not None
        wider = replace(entry.terms, categories=("encounter", "problem", "result"))
        row.value = entries.encode(replace(entry, terms=wider))
    with pytest.raises(Tampered) as forged:
        ask(story, opening)
    assert forged.value.reason == "forged-grant"
    with pytest.raises(Unavailable) as stopped:
        ask(story, opening)
    assert (stopped.value.reason, stopped.value.place) == ("alarm", release.ALARM)


def test_a_projection_that_is_behind_releases_nothing(story: Story) -> None:
    opening = opened(story)
    custodian = story.consortium[A]
    custodian.commits.frozen = True
    story.wallet.custodian = custodian
    _revoke_elsewhere(story)
    with pytest.raises(Unavailable):
        ask(story, opening)


def test_an_object_that_was_not_released_has_no_ranges(story: Story) -> None:
    opening, node = opened(story), story.consortium[A].node
    answer = ask(story, opening, story.records["Observation"].record)
    digest = leaves.parse_record_leaf(_bytes(answer.items[0].leaf)).digest
    whole = run(objects.read_object(node, B, objects.RangeRequest(opening.id, digest, 0, 1 << 20)))
    assert whole == _bytes(answer.items[0].sealed or "")
    hidden = _digest_of(story, "Condition")
    unreleased = objects.RangeRequest(opening.id, hidden, 0, 10)
    assert reason_of(lambda: run(objects.read_object(node, B, unreleased))) == "not-released"
    assert last_outcome(story) == "not-released"
    stolen = objects.RangeRequest(opening.id, digest, 0, 10)
    assert reason_of(lambda: run(objects.read_object(node, C, stolen))) == "other-organization"
    assert last_outcome(story) == "other-organization"
    story.wallet.relay(statements.RevokeEverything(2), through=story.consortium[B])
    with pytest.raises(Denied) as refused:
        run(objects.read_object(node, B, stolen))
    assert last_outcome(story) == refused.value.reason
    rows = len(outcomes(story))
    unknown = objects.RangeRequest(identifier(os.urandom(16)), digest, 0, 10)
    assert reason_of(lambda: run(objects.read_object(node, B, unknown))) == "no-entry"
    assert len(outcomes(story)) == rows, "an id that is nobody's leaves no row"


def test_no_failing_access_row_ever_lets_data_out(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = opened(story)

    def broken(*_: object, **__: object) -> tuple[str, ...]:
        raise Unavailable("the access log cannot be written", reason="database")

    monkeypatch.setattr(release, "record", broken)
    with pytest.raises(Unavailable):
        ask(story, opening)
    monkeypatch.setattr(release, "record_alone", broken)
    with pytest.raises(Unavailable):
        run(release.search(story.consortium[A].node, B, exchange_wire.ExchangeSearch(opening=opening.wire())))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError("a fault of our own"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
        (Unavailable("custody is down", reason="custody"), "custody"),
    ],
    ids=["failed", "cancelled", "unavailable"],
)
def test_keys_that_were_opened_for_a_release_that_failed_are_in_the_log_however_it_failed(
    story: Story, monkeypatch: pytest.MonkeyPatch, error: BaseException, outcome: str
) -> None:
    opening = opened(story)

    async def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(release, "_commit_fresh", failing)
    with pytest.raises(type(error)):
        ask(story, opening)
    with story.consortium[A].node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).where(AccessRow.access == opening.id)).all()
    logged = [leaves.parse_access_leaf(row) for row in rows]
    assert [(leaf.action, leaf.outcome) for leaf in logged] == [("deny", outcome)]
    assert story.records["Observation"].record in logged[0].records


def test_a_release_whose_caller_hangs_up_after_keys_were_opened_is_in_the_log(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = opened(story)

    async def cut_off() -> bool:
        with anyio.move_on_after(60) as scope:
            monkeypatch.setattr(release, "_commit_fresh", lambda *_: cut(scope))
            await release.release(story.consortium[A].node, B, body)
        return scope.cancelled_caught

    async def cut(scope: anyio.CancelScope) -> None:
        scope.cancel()
        await asyncio.Event().wait()

    body = exchange_wire.ExchangeRelease(
        opening=opening.wire(),
        public_key=encode_bytes(opening.private_key.public.raw),
        records=[one.record for one in story.records.values()],
    )
    assert run(cut_off())
    assert last_outcome(story) == "cancelled"


def test_a_log_that_fails_does_not_hide_why_a_release_failed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = opened(story)

    async def failing(*_: object) -> None:
        raise Denied("closed meanwhile", reason="closed")

    def broken(*_: object) -> None:
        raise RuntimeError("the log is broken")

    monkeypatch.setattr(release, "_commit_fresh", failing)
    monkeypatch.setattr(release, "record_alone", broken)
    assert reason_of(lambda: ask(story, opening)) == "closed"


def test_every_release_names_its_records_in_the_access_log(story: Story) -> None:
    opening = opened(story)
    answer = ask(story, opening)
    with story.consortium[A].node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).where(AccessRow.access == opening.id)).all()
    logged = [leaves.parse_access_leaf(row) for row in rows]
    assert {record for leaf in logged for record in leaf.records} == released_ids(answer)
    assert {(leaf.action, leaf.organisation, leaf.purpose) for leaf in logged} == {("release", B, "TREAT")}


def _revoke_elsewhere(story: Story) -> None:
    text, signature = story.wallet.sign(statements.RevokeEverything(2))
    story.consortium[C].node.ledger.submit(*encode(RevokeAll(text, signature)))


def _grant_of(story: Story) -> str:
    with story.consortium[A].node.database.reading() as session:
        return next(names[1] for names, _ in projection.states(session, "grant", story.wallet.patient))


def _argument(arguments: bytes, name: str) -> str:
    value = json.loads(arguments)[name]
    assert isinstance(value, str)
    return value


def _bytes(text: str) -> bytes:
    return decode_bytes(text, "value", max_length=1 << 20)


def _digest_of(story: Story, resource_type: str) -> str:
    return open_version(story.consortium[A].node, story.records[resource_type].record).digest
