"""What a member of the consortium, or a patient of the same hospital, tries against others."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from domain import leaves
from domain.decisions import Deny, Permit
from domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable, YilianError
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.instants import instant
from domain.jcs import JsonObject
from domain.transactions import RetractRecord
from node_service.client import exchange_wire, wire
from node_service.database.models import Alarm, EmergencyAdmission, HeldConsent
from node_service.ledger_sync.submission import submit_and_wait
from node_service.records.entries import entries as record_entries
from node_service.sharing import accesses, candidates, consents, openings, packages, release, wallet_records
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, doctor, run
from tests.unit.node_service.sharing.test_denials import ask, opened, released_ids
from tests.unit.node_service.sharing.test_emergencies import begin_story_of_another, break_glass


def search(story: Story, opening: accesses.OwnOpening, **narrowed: object) -> wire.RecordPage:
    """Search at A as B."""
    body = exchange_wire.ExchangeSearch.model_validate({"opening": opening.wire(), **narrowed})
    return run(release.search(story.consortium[A].node, B, body))


def pages(story: Story, opening: accesses.OwnOpening, limit: int) -> list[wire.RecordPage]:
    """All pages of a search."""
    found = [search(story, opening, limit=limit)]
    while (after := found[-1].next) is not None:
        found.append(search(story, opening, limit=limit, after=after))
    return found


def test_an_access_at_another_custodian_is_refused_and_stops_nobody(story: Story) -> None:
    """The grant is genuine, only not this hospital's: an alarm would let any member stop all releases of another."""
    opening, other = opened(story), story.consortium[C].node
    other_body = exchange_wire.ExchangeSearch(opening=opening.wire())
    story.consortium.follow()
    with pytest.raises(Denied):
        run(release.search(other, B, other_body))
    with other.database.reading() as session:
        assert session.query(Alarm).count() == 0


def test_pages_tell_neither_ids_nor_number_of_what_is_withheld(story: Story) -> None:
    hidden = {story.records[kind].record for kind in ("Condition", "Encounter")}
    consent = story.wallet.consent(withheld=[f"Condition/{story.records['Condition'].record}"])
    grant = story.wallet.share(story.consortium[B], consent, categories=("problem", "result"))
    opening = opened(story, grant)
    found = pages(story, opening, limit=1)
    shown = {item.record for page in found for item in page.items}
    assert shown == {story.records["Observation"].record}
    assert [len(page.items) for page in found] == [1]
    assert hidden.isdisjoint({page.next for page in found})


def test_pages_hold_everything_that_is_released_once(story: Story) -> None:
    opening = opened(story)
    whole = [item.record for item in search(story, opening).items]
    assert len(whole) >= 3
    for limit in (1, 2, len(whole)):
        found = pages(story, opening, limit)
        assert [item.record for page in found for item in page.items] == whole
        assert all(len(page.items) == limit for page in found[:-1])


def test_a_refusal_that_comes_between_decision_and_answer_is_heeded(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, prepare = opened(story), release._prepare

    def dissent_meanwhile(*args: object) -> list[release.Prepared]:
        monkeypatch.setattr(release, "_prepare", prepare)
        story.wallet.dissent(("TREAT",), ("problem",))
        return prepare(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(release, "_prepare", dissent_meanwhile)
    with pytest.raises(Unavailable) as changed:
        ask(story, opening)
    assert changed.value.reason == "changed"
    assert story.records["Condition"].record not in released_ids(ask(story, opening))


def test_a_retraction_between_decision_and_answer_is_heeded(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, prepare = opened(story), release._prepare
    record = story.records["Condition"].record

    def retracted_meanwhile(*args: object) -> list[release.Prepared]:
        monkeypatch.setattr(release, "_prepare", prepare)
        run(submit_and_wait(story.consortium[A].node, RetractRecord(record, "wrong-patient")))
        return prepare(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(release, "_prepare", retracted_meanwhile)
    with pytest.raises(Unavailable):
        ask(story, opening)
    assert record not in released_ids(ask(story, opening))


def test_another_patient_cannot_remove_a_consent_by_using_its_id(story: Story) -> None:
    """The id of a grant is on every member's ledger; on the ledger it belongs to its patient alone."""
    node, other = story.consortium[A].node, begin_story_of_another(story, 1)
    grant = story.wallet.share(story.consortium[B])
    consent, salt = other.wallet.consent(), os.urandom(32)
    past = instant(story.consortium.clock.now() - timedelta(hours=1))
    text, signature = other.wallet.sign(other.wallet.terms(consent, salt), id=grant, anchor_by=past)
    body = wire.ConsentedStatement(statement=text, signature=signature, consent=consent, salt=encode_bytes(salt))
    with pytest.raises(YilianError):
        run(consents.receive_grant(node, other.wallet.patient, body))
    with node.database.reading() as session:
        held = session.get(HeldConsent, (story.wallet.patient, grant, "custodian"))
        assert held is not None
        assert held.patient == story.wallet.patient
    assert ask(story, opened(story, grant)).items


def test_a_stranger_who_used_a_grants_id_first_stands_in_nobodys_way(story: Story) -> None:
    """Who sees a grant's id early can sign one with the same id: both are held, matched and opened apart."""
    away, other = story.consortium[B], begin_story_of_another(story, 1)
    grant = identifier(os.urandom(16))
    for wallet in (other.wallet, story.wallet):
        consent, salt = wallet.consent(), os.urandom(32)
        text, signature = wallet.sign(wallet.terms(consent, salt), id=grant)
        body = wire.ConsentedStatement(statement=text, signature=signature, consent=consent, salt=encode_bytes(salt))
        run(consents.receive_grant(story.consortium[A].node, wallet.patient, body))
        run(packages.receive_package(away.node, wallet.package(body, away)))
    found = {(one.patient, one.id, one.confirmed) for one in packages.list_received(away.node)}
    assert found == {(wallet.patient, grant, False) for wallet in (other.wallet, story.wallet)}
    patient, staff = story.wallet.patient, identifier(os.urandom(16))
    packages.confirm_match(away.node, staff, patient, grant, wire.MatchConfirmation(local_patient=None))
    opening = wire.OpenAccessBody(patient=patient, grant=grant, purpose="TREAT")
    run(accesses.open_access(away.node, doctor(), opening))
    with pytest.raises(Conflict, match="confirmed"):
        run(accesses.open_access(away.node, doctor(), opening.model_copy(update={"patient": other.wallet.patient})))


def test_a_hospital_that_changes_practitioners_is_held_all_the_same(story: Story) -> None:
    limit = story.consortium[A].node.settings.emergencies_per_hospital_hour
    node = story.consortium[A].node
    with node.database.transaction() as session:
        for _ in range(limit):
            session.add(
                EmergencyAdmission(
                    id=identifier(os.urandom(16)),
                    requester=B,
                    practitioner=identifier(os.urandom(16)),
                    patient=identifier(os.urandom(16)),
                    status="admitted",
                    at=instant(node.clock.now()),
                )
            )
    who = doctor()
    with pytest.raises(Unavailable) as held:
        run(story.reading.search(who, break_glass(story, who).id))
    assert held.value.reason == "held"


def test_a_record_that_the_ledger_calls_retracted_is_no_longer_the_wallets(story: Story) -> None:
    """Retracted as the wrong patient's: the person in whose list it stood has no right to it."""
    node, patient = story.consortium[A].node, story.wallet.patient
    record = story.records["Condition"].record
    digest = wallet_digest(story, record)
    assert wallet_records.own_object(node, patient, digest, 0, 10)
    run(submit_and_wait(node, RetractRecord(record, "wrong-patient")))
    with pytest.raises(NotFound):
        wallet_records.sealed_record(node, patient, record)
    with pytest.raises(NotFound):
        wallet_records.own_object(node, patient, digest, 0, 10)


def wallet_digest(story: Story, record: str) -> str:
    """The anchored digest as the wallet learns it."""
    sealed = wallet_records.sealed_record(story.consortium[A].node, story.wallet.patient, record)
    return leaves.parse_record_leaf(decode_bytes(sealed.leaf, "leaf", max_length=1 << 20)).digest


@pytest.mark.parametrize("change", [{"sealed": encode_bytes(bytes(9000))}, {"alg": "HPKE-MLKEM768-X25519"}])
def test_a_reader_that_no_patient_could_open_does_not_go_into_the_log(story: Story, change: dict[str, str]) -> None:
    """It becomes part of every row and of every list that the patient fetches."""
    opening = opened(story).wire()
    assert opening.reader is not None
    asked = exchange_wire.ExchangeSearch(
        opening=opening.model_copy(update={"reader": opening.reader.model_copy(update=change)})
    )
    with pytest.raises(Invalid):
        run(release.search(story.consortium[A].node, B, asked))


def test_a_consent_about_an_encounter_withholds_what_does_not_tell_its_encounter(story: Story) -> None:
    """A series of images has no references to compare: it may well belong to the encounter that is withheld."""
    node, consent = story.consortium[A].node, story.wallet.consent()
    provision = consent["provision"]
    assert isinstance(provision, dict)
    visit: JsonObject = {"reference": f"Encounter/{story.records['Encounter'].record}"}
    provision["provision"] = [{"type": "deny", "data": [{"meaning": "related", "reference": visit}]}]
    opening = opened(story, story.wallet.share(story.consortium[B], consent))
    story.consortium.follow()
    with node.database.reading() as session:
        live = openings.verify_opening(node, session, B, opening.wire())
        decider = candidates.judge(node, session, live)
        (entry,) = record_entries(node, session, [story.records["Observation"].record])
    assert decider.looks_into_content
    assert isinstance(decider.decide(candidates.candidate(entry, "active")), Permit)
    without = replace(decider, content=lambda _: None)
    assert without.decide(candidates.candidate(entry, "active")) == Deny("unreadable")
