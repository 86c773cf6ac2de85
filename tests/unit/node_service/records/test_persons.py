from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.errors import Conflict
from node_service.context import Node
from node_service.database.models import Person, PersonToken
from node_service.records import ingest, sealing
from node_service.records.drafts import SealedVersion
from node_service.records.ingest import ingest_fhir
from node_service.records.persons import Card, Claim, People, claim_of_patient, open_card
from tests.unit.node_service.records.hospital import Hospital

SALLY: dict[str, Any] = {
    "resourceType": "Patient", "id": "a", "gender": "female", "birthDate": "1980-02-29",
    "identifier": [{"system": "http://hospital.example/mrn", "value": "7"}],
    "name": [{"family": "Synthetic", "given": ["Sally"]}],
}  # fmt: skip


def decided(hospital: Hospital, claim: Claim) -> tuple[People, str]:
    people = People(hospital.node)
    with hospital.node.database.reading() as session:
        people.load(session, [claim])
    return people, people.decide(claim).patient


def write(hospital: Hospital, people: People) -> None:
    with hospital.node.database.transaction() as session:
        people.write(session)


def test_two_runs_that_make_the_same_person_at_once_make_one(hospital: Hospital) -> None:
    claim = claim_of_patient(hospital.node, "his", SALLY)
    first, patient = decided(hospital, claim)
    second, other = decided(hospital, claim)
    assert patient != other
    write(hospital, first)
    with pytest.raises(Conflict):
        write(hospital, second)
    assert decided(hospital, claim)[1] == patient
    with hospital.node.database.reading() as session:
        assert session.execute(select(func.count()).select_from(Person)).scalar_one() == 1


def test_a_run_that_loses_the_race_decides_anew_and_succeeds(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(SALLY).encode()
    put = sealing.put_sealed
    rivals = [json.dumps({**SALLY, "id": "b"}).encode()]

    def overtaken(node: Node, versions: Sequence[SealedVersion]) -> None:
        put(node, versions)
        if rivals:
            ingest_fhir(node, rivals.pop(), "application/fhir+json", "his")

    monkeypatch.setattr(ingest, "put_sealed", overtaken)
    report = ingest_fhir(hospital.node, body, "application/fhir+json", "his")
    assert len(report.stored) == 1
    with hospital.node.database.reading() as session:
        assert session.execute(select(func.count()).select_from(Person)).scalar_one() == 1


def test_a_card_lies_sealed_and_opens_only_in_its_own_row(hospital: Hospital) -> None:
    claim = claim_of_patient(hospital.node, "his", SALLY)
    people, patient = decided(hospital, claim)
    write(hospital, people)
    with hospital.node.database.reading() as session:
        person = session.get(Person, patient)
        assert person is not None
        tokens = session.scalars(select(PersonToken.kind).order_by(PersonToken.kind)).all()
    assert b"Synthetic" not in person.demographics
    assert open_card(hospital.node, person) == Card(
        ("Sally Synthetic",), "female", "1980-02-29", (("other", "http://hospital.example/mrn", "7"),)
    )
    assert tokens == ["identifier", "source"]


def test_a_claim_without_any_token_is_always_somebody_new(hospital: Hospital) -> None:
    claim = Claim(None, (), Card())
    assert decided(hospital, claim)[1] != decided(hospital, claim)[1]


def test_a_bare_reference_does_not_wipe_what_is_known(hospital: Hospital) -> None:
    full = claim_of_patient(hospital.node, "his", SALLY)
    people, patient = decided(hospital, full)
    write(hospital, people)
    again, same = decided(hospital, Claim(full.source_token, (), Card()))
    write(hospital, again)
    assert same == patient
    with hospital.node.database.reading() as session:
        person = session.get(Person, patient)
        assert person is not None
        assert open_card(hospital.node, person).names == ("Sally Synthetic",)
