"""Requests and grant packages: sealed to whom they are for, believed only as far as the ledger has them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain import leaves, messages
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, identifier
from domain.instants import instant
from node_service.client import exchange_wire, wire
from node_service.database.models import AccessRow
from node_service.sharing import accesses, consents, notices, packages, requests
from node_service.sharing.sealed_messages import from_wire
from offchain.envelope.messages import open_message
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, Wallet, doctor, run


def request(story: Story, card: wire.PatientCard | None = None) -> wire.Committed:
    body = wire.AccessRequest(
        card=card or story.wallet.card, purpose="TREAT", categories=["result"], message="synthetic question"
    )
    return run(requests.request_access(story.consortium[B].node, story.consortium.exchange(B), doctor(), body))


def test_only_the_wallet_reads_what_a_request_says(story: Story) -> None:
    asked = request(story)
    (entry,) = requests.list_requests(story.consortium[A].node, story.wallet.patient)
    assert (entry.id, entry.requester) == (asked.id, B)
    opened = open_message(
        story.wallet.wrap, messages.access_request(asked.id, story.wallet.patient), from_wire(entry.message)
    )
    content = wire.AccessRequestContent.model_validate_json(opened)
    assert (content.message, content.reader.name, content.requester) == ("synthetic question", "Dr Wang", B)
    assert [one.event for one in notices.for_patient(story.consortium[A].node, story.wallet.patient)] == [
        "access-requested"
    ]


def test_a_request_ends_when_it_says(story: Story) -> None:
    request(story)
    story.consortium.clock.advance(72 * 3600)
    assert requests.list_requests(story.consortium[A].node, story.wallet.patient) == []


def test_a_request_for_nobody_is_answered_like_any_other(story: Story) -> None:
    stranger = Wallet(story.consortium[A], identifier(os.urandom(16)))
    assert request(story, stranger.card).id
    assert requests.list_requests(story.consortium[A].node, stranger.patient) == []


def test_a_delivery_that_the_ledger_does_not_know_is_refused(story: Story) -> None:
    asked = request(story)
    (entry,) = requests.list_requests(story.consortium[A].node, story.wallet.patient)
    body = exchange_wire.RequestDelivery(
        id=asked.id, patient=story.wallet.patient, valid_until=entry.valid_until, message=entry.message
    )
    node = story.consortium[A].node
    longer = instant(story.consortium.clock.now() + timedelta(days=80))
    for caller, changes in ((C, {}), (B, {"id": identifier(os.urandom(16))}), (B, {"valid_until": longer})):
        with pytest.raises(Denied):
            run(requests.accept_request(node, caller, body.model_copy(update=changes)))
    with node.database.reading() as session:
        rows = [leaves.parse_access_leaf(row) for row in session.scalars(select(AccessRow.leaf).order_by(AccessRow.id))]
    refused = [(row.organisation, row.patient, row.outcome) for row in rows if row.action == "deny"]
    assert refused == [(caller, story.wallet.patient, "request") for caller in (C, B, B)]
    run(requests.accept_request(node, B, body))
    assert len(requests.list_requests(node, story.wallet.patient)) == 1


def test_a_request_that_only_the_requester_s_peer_has_yet_is_waited_for_and_not_denied(story: Story) -> None:
    asked = request(story)
    (entry,) = requests.list_requests(story.consortium[A].node, story.wallet.patient)
    body = exchange_wire.RequestDelivery(
        id=identifier(os.urandom(16)), patient=story.wallet.patient, valid_until=entry.valid_until,
        message=entry.message, block=asked.block + 1,
    )  # fmt: skip
    with pytest.raises(Unavailable) as refused:
        run(requests.accept_request(story.consortium[A].node, B, body))
    assert refused.value.reason == "projection-behind"


def granted(story: Story, grantee: str = B) -> wire.ConsentedStatement:
    body = story.wallet.signed_grant(grantee=grantee)
    run(consents.receive_grant(story.consortium[A].node, story.wallet.patient, body))
    return body


def test_a_package_names_a_grant_that_only_a_person_can_put_to_use(story: Story) -> None:
    node, body, who = story.consortium[B].node, granted(story), doctor()
    grant = run(packages.receive_package(node, story.wallet.package(body, story.consortium[B])))
    assert [(one.id, one.confirmed) for one in packages.list_received(node)] == [(grant, False)]
    opening = wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    with pytest.raises(Conflict) as unconfirmed:
        run(accesses.open_access(node, who, opening))
    assert unconfirmed.value.reason == "unconfirmed"
    packages.confirm_match(
        node, identifier(os.urandom(16)), story.wallet.patient, grant, wire.MatchConfirmation(local_patient=None)
    )
    first = run(accesses.open_access(node, who, opening))
    assert run(accesses.open_access(node, who, opening)).id == first.id
    assert run(accesses.open_access(node, doctor(), opening)).id != first.id


def test_the_same_package_again_keeps_the_confirmation(story: Story) -> None:
    node, body = story.consortium[B].node, granted(story)
    grant = run(packages.receive_package(node, story.wallet.package(body, story.consortium[B])))
    packages.confirm_match(
        node, identifier(os.urandom(16)), story.wallet.patient, grant, wire.MatchConfirmation(local_patient=None)
    )
    run(packages.receive_package(node, story.wallet.package(body, story.consortium[B])))
    assert packages.list_received(node)[0].confirmed


def test_a_match_with_nobody_here_is_refused(story: Story) -> None:
    node, body = story.consortium[B].node, granted(story)
    grant = run(packages.receive_package(node, story.wallet.package(body, story.consortium[B])))
    with pytest.raises(NotFound):
        packages.confirm_match(
            node,
            identifier(os.urandom(16)),
            story.wallet.patient,
            grant,
            wire.MatchConfirmation(local_patient=identifier(os.urandom(16))),
        )


def test_a_package_before_its_grant_is_on_the_ledger_is_not_kept(story: Story) -> None:
    body = story.wallet.signed_grant()
    with pytest.raises(NotFound):
        run(packages.receive_package(story.consortium[B].node, story.wallet.package(body, story.consortium[B])))


def test_a_package_for_another_hospital_does_not_open_and_does_not_pass(story: Story) -> None:
    body = granted(story, grantee=C)
    with pytest.raises(Denied):
        run(packages.receive_package(story.consortium[B].node, story.wallet.package(body, story.consortium[C])))
    with pytest.raises(Denied):
        run(packages.receive_package(story.consortium[B].node, story.wallet.package(body, story.consortium[B])))


@pytest.mark.parametrize("part", ["consent", "salt", "signature", "grant"])
def test_a_package_with_another_part_is_refused(story: Story, part: str) -> None:
    body = granted(story)
    other = story.wallet.signed_grant()
    changed = {
        "consent": body.model_copy(update={"consent": other.consent}),
        "salt": body.model_copy(update={"salt": other.salt}),
        "signature": body.model_copy(update={"signature": other.signature}),
        "grant": body.model_copy(update={"statement": other.statement, "signature": other.signature}),
    }[part]
    with pytest.raises((Denied, NotFound)):
        run(packages.receive_package(story.consortium[B].node, story.wallet.package(changed, story.consortium[B])))
    assert packages.list_received(story.consortium[B].node) == []


def test_rubbish_in_a_sealed_message_is_no_package(story: Story) -> None:
    package = story.wallet.package(granted(story), story.consortium[B])
    altered = package.model_copy(update={"sealed": package.sealed[:-8] + "AAAAAAAA"})
    with pytest.raises(Tampered):
        run(packages.receive_package(story.consortium[B].node, altered))


@pytest.mark.parametrize("part", ["consent", "salt", "patient", "status", "statement"])
def test_the_custodian_takes_no_grant_whose_consent_does_not_fit(story: Story, part: str) -> None:
    node, patient = story.consortium[A].node, story.wallet.patient
    body = story.wallet.signed_grant()
    other = story.wallet.signed_grant()
    if part == "patient":
        stranger = Wallet(story.consortium[A], identifier(os.urandom(16)))
        body = story.wallet.signed_grant(stranger.consent())
    if part == "status":
        body = story.wallet.signed_grant({**story.wallet.consent(), "status": "draft"})
    if part == "consent":
        body = body.model_copy(update={"consent": other.consent})
    if part == "salt":
        body = body.model_copy(update={"salt": other.salt})
    if part == "statement":
        forger = replace(story.wallet, signing=Wallet(story.consortium[A], patient).signing)
        body = forger.signed_grant()
    before = node.ledger.height()
    with pytest.raises((Denied, Invalid)):
        run(consents.receive_grant(node, patient, body))
    assert node.ledger.height() == before


def test_a_grant_is_taken_only_in_the_signers_own_session(story: Story) -> None:
    body = story.wallet.signed_grant()
    with pytest.raises(Denied):
        run(consents.receive_grant(story.consortium[A].node, identifier(os.urandom(16)), body))


def test_the_reader_in_the_access_entry_is_the_one_that_the_patient_is_told(story: Story) -> None:
    node, who = story.consortium[B].node, doctor("Dr Li")
    grant = story.wallet.share(story.consortium[B])
    handle = run(
        accesses.open_access(node, who, wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"))
    )
    with node.database.reading() as session:
        opening = accesses.own_opening(node, session, who.id, handle.id)
    opened = open_message(story.wallet.wrap, messages.reader(handle.id, story.wallet.patient), opening.reader)
    card = json.loads(opened)
    salt = decode_bytes(card.pop("salt"), "salt")
    assert card["name"] == "Dr Li"
    run(story.reading.chart(who, handle.id))
    entry = node.ledger.evaluate("QueryAccesses", {"id": handle.id, "after": None, "limit": None})
    assert leaves.keyed_digest(card, salt) in json.dumps(entry)
