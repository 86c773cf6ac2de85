"""A DICOM series: erased with every instance, or filed anew with every instance under new keys."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import select, text

from domain.errors import Conflict, NotFound
from domain.identifiers import encode_bytes, identifier
from node_service.client import erasure_wire
from node_service.database.models import Member
from node_service.erasure import retracting
from node_service.records.instances import receive_instance
from node_service.records.reading import open_member, open_members, open_version
from node_service.records.series import close_upload
from tests.unit.node_service.erasure.office import OFFICER, Office
from tests.unit.node_service.records.test_series import instance
from tests.unit.node_service.sharing.consortium import history

FILES = [instance(number, pixels=bytes([number]) * 64) for number in (1, 2)]


def series(office: Office) -> str:
    upload = identifier(os.urandom(16))
    for one in FILES:
        receive_instance(office.node, one, upload, "pacs", office.patient)
    report = close_upload(office.node, upload)
    office.hospital.settle()
    return report.stored[0].record


def instances(office: Office, record: str) -> list[bytes]:
    found = []
    for member in open_members(office.node, record).members:
        with open_member(office.node, member) as opened:
            found.append(opened.whole(max_bytes=1 << 20).content)
    return sorted(found)


def test_every_instance_goes_with_the_series_and_none_comes_back(office: Office) -> None:
    record = series(office)
    with office.node.database.reading() as session:
        digests = [encode_bytes(one) for one in session.scalars(select(Member.digest))]
    assert all(office.node.blobs.exists(one) for one in digests)
    case = office.ask(record)
    office.decide(case.id)
    office.work()
    assert not any(office.node.blobs.exists(one) for one in digests)
    with office.node.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM member")).scalar_one() == 0
    with pytest.raises(Conflict) as refused:
        receive_instance(office.node, FILES[0], identifier(os.urandom(16)), "pacs", office.patient)
    assert refused.value.reason == "record-erased"


def test_a_series_is_filed_anew_under_new_keys_and_later_instances_follow_it(office: Office) -> None:
    record = series(office)
    old_keys = {member.key.reveal() for member in open_members(office.node, record).members}
    stored = office.hospital.ingest(*history("p2"), source="elsewhere")
    right = next(one.patient for one in stored if one.resource_type == "Patient")
    assert right is not None
    body = erasure_wire.RetractionBody(reason="wrong-patient", patient=right)
    (filed,) = retracting.retract(office.node, OFFICER, record, body).filed
    office.work()
    assert instances(office, filed.record) == sorted(FILES)
    assert not old_keys & {member.key.reveal() for member in open_members(office.node, filed.record).members}
    with pytest.raises(NotFound):
        open_version(office.node, record)

    upload = identifier(os.urandom(16))
    receipt = receive_instance(office.node, instance(3, pixels=bytes(64)), upload, "pacs", right)
    assert receipt.record == filed.record
    report = close_upload(office.node, upload)
    assert [(one.record, one.version) for one in report.stored] == [(filed.record, 2)]
    assert len(instances(office, filed.record)) == 3
