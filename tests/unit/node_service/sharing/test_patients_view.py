"""What the patient sees: grants, the preview that is the decision itself, who read what, and their own records."""

from __future__ import annotations

import json
import os

import pytest

from domain import leaves, messages, paths, statements
from domain import wire as wire_values
from domain.errors import Invalid, NotFound
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.jcs import JsonObject
from node_service.access_log.listing import accesses_of
from node_service.client import wire
from node_service.database.models import AnchoredHead
from node_service.sharing import accesses, consents, grants, wallet_records
from node_service.sharing.sealed_messages import from_wire
from offchain.envelope.messages import open_message
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, doctor, history, run


def read_all(story: Story, grant: str, name: str = "Dr Wang") -> tuple[str, set[str]]:
    who, body = doctor(name), wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    handle = run(accesses.open_access(story.consortium[B].node, who, body))
    chart = run(story.reading.chart(who, handle.id))
    return handle.id, {item.entry.record for item in chart.items if item.entry.kind == "patient"}


def test_the_preview_is_what_the_reader_then_gets_with_the_number_withheld(story: Story) -> None:
    hidden = story.records["Observation"].record
    consent, salt = story.wallet.consent(withheld=[f"Observation/{hidden}"]), os.urandom(32)
    terms = wire_values.to_json(story.wallet.terms(consent, salt))
    shown = grants.preview(
        story.consortium[A].node, story.wallet.patient, wire.PreviewRequest(terms=terms, consent=consent)
    )
    assert hidden not in shown.released
    assert shown.withheld == 2  # the observation, and the person's own entry, whose category is not shared
    assert shown.by_category == {"encounter": 1, "problem": 1}
    _, got = read_all(story, story.wallet.share(story.consortium[B], consent))
    assert got == set(shown.released)


def test_a_preview_of_anothers_consent_is_refused(story: Story) -> None:
    consent: JsonObject = {**story.wallet.consent(), "patient": {"reference": f"Patient/{identifier(bytes(16))}"}}
    terms = wire_values.to_json(story.wallet.terms(consent, os.urandom(32)))
    with pytest.raises(Invalid):
        grants.preview(
            story.consortium[A].node, story.wallet.patient, wire.PreviewRequest(terms=terms, consent=consent)
        )


def test_grants_come_back_with_the_consent_that_only_the_wallet_opens(story: Story) -> None:
    body = story.wallet.signed_grant()
    grant = run(consents.receive_grant(story.consortium[A].node, story.wallet.patient, body)).id
    dissent = story.wallet.dissent(("HRESCH",))
    page = grants.list_grants(story.consortium[A].node, story.wallet.patient)
    (entry,) = page.grants
    assert (entry.id, entry.live, entry.status, page.floor) == (grant, True, "active", 1)
    assert [(one.id, one.live) for one in page.dissents] == [(dissent, True)]
    assert entry.consent is not None
    opened = open_message(
        story.wallet.wrap, messages.held_consent(grant, story.wallet.patient), from_wire(entry.consent)
    )
    assert json.loads(opened) == {"consent": body.consent, "salt": body.salt}
    story.wallet.relay(statements.RevokeEverything(2), through=story.consortium[A])
    page = grants.list_grants(story.consortium[A].node, story.wallet.patient)
    assert ([one.live for one in page.grants], page.floor) == ([False], 2)


def test_who_read_what_is_listed_with_reader_and_provable_place(story: Story) -> None:
    access, got = read_all(story, story.wallet.share(story.consortium[B]), "Dr Li")
    story.consortium.clock.advance(11)
    story.consortium[A].settle()
    node = story.consortium[A].node
    page = accesses_of(node, story.wallet.patient)
    by_action: dict[str, wire.AccessEntry] = {}
    for item in page.items:
        encoded = decode_bytes(item.leaf, "leaf")
        by_action[leaves.parse_access_leaf(encoded).action] = item
        assert item.path is not None
        with node.database.reading() as session:
            head = session.get_one(AnchoredHead, (A, item.path.incarnation, "access", item.path.size))
        path = paths.LeafPath(item.path.incarnation, item.path.index, item.path.size, tuple(item.path.hashes))
        paths.verify_leaf(encoded, path, encode_bytes(head.root))
    assert {"enrol", "grant", "search", "release"} <= set(by_action)
    released = by_action["release"]
    leaf = leaves.parse_access_leaf(decode_bytes(released.leaf, "leaf"))
    assert got <= set(leaf.records)
    assert released.reader is not None
    opened = open_message(story.wallet.wrap, messages.reader(access, story.wallet.patient), from_wire(released.reader))
    assert json.loads(opened)["name"] == "Dr Li"


def test_a_patient_sees_no_row_about_anybody_else(story: Story) -> None:
    stored = story.consortium[A].ingest(*history("p2"), source="other")
    other = next(one.patient for one in stored if one.resource_type == "Patient")
    assert other is not None
    read_all(story, story.wallet.share(story.consortium[B]))
    assert accesses_of(story.consortium[A].node, other).items == []


def test_another_patients_record_does_not_exist_for_the_wallet(story: Story) -> None:
    stored = story.consortium[A].ingest(*history("p2"), source="other")
    foreign = next(one for one in stored if one.resource_type == "Observation")
    for record in (foreign.record, story.records["Organization"].record, identifier(os.urandom(16))):
        with pytest.raises(NotFound):
            wallet_records.sealed_record(story.consortium[A].node, story.wallet.patient, record)


def test_the_wallet_lists_and_fetches_its_own_objects_by_range(story: Story) -> None:
    node, patient = story.consortium[A].node, story.wallet.patient
    listed = wallet_records.list_records(node, patient)
    assert {one.resource_type for one in listed.items} == {"Patient", "Encounter", "Condition", "Observation"}
    sealed = wallet_records.sealed_record(node, patient, story.records["Condition"].record)
    digest = leaves.parse_record_leaf(decode_bytes(sealed.leaf, "leaf")).digest
    whole = decode_bytes(sealed.sealed, "sealed", max_length=1 << 20)
    assert wallet_records.own_object(node, patient, digest, 0, 1 << 20) == whole
    assert wallet_records.own_object(node, patient, digest, 5, 7) == whole[5:12]
    with pytest.raises(NotFound):
        wallet_records.own_object(node, identifier(os.urandom(16)), digest, 0, 10)
    assert wallet_records.own_object(node, patient, digest, len(whole), 1) == b""
    with pytest.raises(Invalid):
        wallet_records.own_object(node, patient, digest, 0, 1 << 30)
