"""Contributions: sealed and signed by the author, appended only under a grant that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from domain import leaves
from domain.errors import Conflict, Denied, Invalid, YilianError
from domain.identifiers import decode_bytes, encode_bytes
from domain.jcs import JsonObject
from node_service.client import exchange_wire, wire
from node_service.database.models import Record, RecordVersion
from node_service.records.reading import open_version
from node_service.sharing import accesses, contributions
from node_service.sharing.practitioners import Practitioner
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, LocalExchange, doctor, run
from tests.unit.node_service.sharing.test_emergencies import begin_story_of_another

RESULT: JsonObject = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "synthetic follow-up"},
    "valueQuantity": {"value": 131.5, "unit": "mmHg"},
}


@dataclass
class KeepingExchange(LocalExchange):
    """Keeps what was delivered, altered on the way."""

    alter: Callable[[exchange_wire.ContributionDelivery], exchange_wire.ContributionDelivery] = lambda body: body
    last: exchange_wire.ContributionDelivery | None = None

    async def deliver_contribution(self, custodian: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
        self.last = self.alter(body)
        return await super().deliver_contribution(custodian, self.last)


def opened(story: Story, *permissions: str) -> tuple[Practitioner, str, str]:
    grant = story.wallet.share(story.consortium[B], permissions=permissions)
    who, body = doctor(), wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    return who, run(accesses.open_access(story.consortium[B].node, who, body)).id, grant


def contribute(
    story: Story,
    exchange: LocalExchange,
    resource: JsonObject = RESULT,
    permissions: tuple[str, ...] = ("contribute", "read"),
) -> wire.RecordRef:
    who, access, _grant = opened(story, *permissions)
    body = wire.ContributionBody(resource=json.dumps(resource, ensure_ascii=False))
    return run(contributions.contribute(story.consortium[B].node, exchange, who, access, body))


def test_a_contribution_becomes_the_patients_record_with_the_authors_signature(story: Story) -> None:
    node = story.consortium[A].node
    written = contribute(story, story.consortium.exchange(B))
    story.consortium[A].settle()
    content = json.loads(open_version(node, written.record).content)
    assert (content["id"], content["valueQuantity"]) == (written.record, {"value": 131.5, "unit": "mmHg"})
    with node.database.reading() as session:
        row = session.get_one(Record, written.record)
        leaf = leaves.parse_record_leaf(session.get_one(RecordVersion, (written.record, 1)).leaf)
    assert (row.patient, row.external_author) == (story.wallet.patient, B)
    assert leaf.author is not None
    assert (leaf.author.msp_id, leaf.custodian) == (B, A)


def test_every_reader_verifies_the_authors_signature(story: Story) -> None:
    written = contribute(story, story.consortium.exchange(B))
    story.consortium[A].settle()
    who, access, _ = opened(story, "read")
    shown = run(story.reading.read(who, access, written.record))
    assert json.loads(decode_bytes(shown.content, "content"))["code"] == {"text": "synthetic follow-up"}


def test_reading_alone_is_no_leave_to_write(story: Story) -> None:
    with pytest.raises(Denied) as refused:
        contribute(story, story.consortium.exchange(B), permissions=("read",))
    assert refused.value.reason == "permission"


def test_a_kind_outside_the_grant_is_refused(story: Story) -> None:
    allergy: JsonObject = {"resourceType": "AllergyIntolerance", "patient": {"display": "synthetic"}}
    with pytest.raises(Denied) as refused:
        contribute(story, story.consortium.exchange(B), allergy)
    assert refused.value.reason == "category"


def about(reference: JsonObject) -> JsonObject:
    return {**RESULT, "subject": reference}


def test_a_contribution_names_the_patient_as_the_custodian_does(story: Story) -> None:
    patient = story.records["Patient"].record
    for written in (story.wallet.patient, patient, f"{patient}/_history/1"):
        assert contribute(story, story.consortium.exchange(B), about({"reference": f"Patient/{written}"})).record


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/somebody"},
        {"reference": "https://elsewhere.example/fhir/Patient/somebody"},
        {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "type": "Patient"},
        {"type": "Patient", "identifier": {"system": "urn:oid:1.2.3", "value": "another"}},
    ],
)
def test_what_is_about_another_patient_is_not_filed_under_this_one(story: Story, reference: JsonObject) -> None:
    with pytest.raises(Denied) as refused:
        contribute(story, story.consortium.exchange(B), about(reference))
    assert refused.value.reason == "other-patient"


def test_another_patients_record_of_the_same_hospital_is_another_patient(story: Story) -> None:
    other = begin_story_of_another(story, 1)
    for name in (other.wallet.patient, other.records["Patient"].record):
        with pytest.raises(Denied, match="another patient"):
            contribute(story, story.consortium.exchange(B), about({"reference": f"Patient/{name}"}))


def test_the_same_delivery_twice_is_one_record(story: Story) -> None:
    exchange = KeepingExchange(B, story.consortium.hospitals)
    first = contribute(story, exchange)
    assert exchange.last is not None
    again = run(contributions.accept_contribution(story.consortium[A].node, B, exchange.last))
    assert (again.record, again.changed) == (first.record, False)


def flipped(text: str) -> str:
    raw = bytearray(decode_bytes(text, "value", max_length=1 << 20))
    raw[len(raw) // 2] ^= 1
    return encode_bytes(bytes(raw))


@pytest.mark.parametrize("part", ["sealed", "signature", "kid", "chunks", "data_key", "object_id", "record"])
def test_an_altered_contribution_is_refused(story: Story, part: str) -> None:
    other = story.records["Condition"].record

    def alter(body: exchange_wire.ContributionDelivery) -> exchange_wire.ContributionDelivery:
        changes: dict[str, object] = {
            "sealed": flipped(body.sealed),
            "signature": flipped(body.signature),
            "kid": "another",
            "chunks": [flipped(one) for one in body.chunks],
            "data_key": body.data_key.model_copy(update={"sealed": flipped(body.data_key.sealed)}),
            "object_id": other,
            "record": other,
        }
        return body.model_copy(update={part: changes[part]})

    with pytest.raises(YilianError):
        contribute(story, KeepingExchange(B, story.consortium.hospitals, alter))
    assert json.loads(open_version(story.consortium[A].node, other).content)["resourceType"] == "Condition"


def test_another_hospital_cannot_pass_a_contribution_off_as_its_own(story: Story) -> None:
    exchange = KeepingExchange(B, story.consortium.hospitals)
    contribute(story, exchange)
    assert exchange.last is not None
    with pytest.raises((Denied, Conflict)):
        run(contributions.accept_contribution(story.consortium[A].node, C, exchange.last))


def test_what_is_no_valid_resource_leaves_this_hospital_in_no_way(story: Story) -> None:
    exchange = KeepingExchange(B, story.consortium.hospitals)
    with pytest.raises(Invalid):
        contribute(story, exchange, {"resourceType": "Observation", "status": 5})
    assert exchange.last is None


def test_a_delivery_under_another_patients_access_is_not_taken_for_done(story: Story) -> None:
    """Else the author would believe that the record stands in the chart of somebody in whose chart it is not."""
    first = KeepingExchange(B, story.consortium.hospitals)
    contribute(story, first)
    other = begin_story_of_another(story, 1)
    second = KeepingExchange(B, story.consortium.hospitals)
    contribute(other, second)
    assert first.last is not None
    assert second.last is not None
    mixed = first.last.model_copy(update={"opening": second.last.opening})
    with pytest.raises(Conflict):
        run(contributions.accept_contribution(story.consortium[A].node, B, mixed))
