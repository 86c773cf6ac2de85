"""A DICOM series elsewhere: the manifest is released, members come by range and are verified against it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from domain import statements
from domain.errors import Denied, NotFound, Tampered
from domain.identifiers import encode_bytes, identifier
from node_service.client import wire
from node_service.database.models import Member
from node_service.records.instances import receive_instance
from node_service.records.series import close_upload
from node_service.sharing import accesses
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.records.test_series import instance
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, LocalExchange, doctor, run

BIG = os.urandom(700_000)


@dataclass
class AlteringObjects(LocalExchange):
    """Turns one bit of every object."""

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        data = bytearray(await super().read_object(custodian, access, digest, offset, length))
        if data:
            data[len(data) // 2] ^= 1
        return bytes(data)


@pytest.fixture
def files() -> list[bytes]:
    """Three instances, one of them larger than what is sent inline."""
    return [instance(number, pixels=BIG if number == 2 else bytes(64)) for number in (1, 2, 3)]


@pytest.fixture
def series(story: Story, files: list[bytes]) -> str:
    """The record id of the series at A, anchored."""
    node, upload = story.consortium[A].node, identifier(os.urandom(16))
    for one in files:
        receive_instance(node, one, upload, "pacs", story.wallet.patient)
    report = close_upload(node, upload)
    story.consortium[A].settle()
    return report.stored[0].record


def opened(story: Story) -> tuple[Practitioner, str]:
    grant = story.wallet.share(story.consortium[B], categories=("imaging",))
    who, body = doctor(), wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    return who, run(accesses.open_access(story.consortium[B].node, who, body)).id


def test_every_instance_is_read_elsewhere_byte_for_byte(story: Story, series: str, files: list[bytes]) -> None:
    who, access = opened(story)
    reading = story.reading
    shown = run(reading.read(who, access, series))
    assert (shown.entry.category, shown.members) == ("imaging", 3)
    members = run(reading.members(who, access, series))
    got = [run(reading.member(who, access, series, one.object_id)).content for one in members]
    assert sorted(got) == sorted(files)


def test_an_altered_instance_is_an_alarm(story: Story, series: str) -> None:
    who, access = opened(story)
    reading = SharedReading(story.consortium[B].node, AlteringObjects(B, story.consortium.hospitals))
    members = run(reading.members(who, access, series))
    with pytest.raises(Tampered):
        run(reading.member(who, access, series, members[0].object_id))


def test_a_member_that_the_manifest_does_not_name_does_not_exist(story: Story, series: str) -> None:
    who, access = opened(story)
    with pytest.raises(NotFound):
        run(story.reading.member(who, access, series, identifier(os.urandom(16))))


def test_instances_stop_with_the_grant_even_where_the_manifest_is_open(story: Story, series: str) -> None:
    who, access = opened(story)
    reading = story.reading
    members = run(reading.members(who, access, series))
    story.wallet.relay(statements.RevokeEverything(2), through=story.consortium[B])
    with pytest.raises(Denied):
        run(reading.member(who, access, series, members[0].object_id))


def test_an_instance_that_no_released_manifest_lists_has_no_ranges(story: Story, series: str) -> None:
    who, access = opened(story)
    run(story.reading.read(who, access, series))
    node = story.consortium[A].node
    late = receive_instance(node, instance(9), identifier(os.urandom(16)), "pacs", story.wallet.patient)
    assert late.record == series
    with node.database.reading() as session:
        digest = session.scalars(select(Member.digest).where(Member.manifest_version.is_(None))).one()
    with pytest.raises(Denied):
        run(story.consortium.exchange(B).read_object(A, access, encode_bytes(digest), 0, 100))


def test_a_resource_without_members_has_none(story: Story) -> None:
    grant = story.wallet.share(story.consortium[B])
    who, body = doctor(), wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(story.consortium[B].node, who, body)).id
    with pytest.raises(NotFound):
        run(story.reading.members(who, access, story.records["Condition"].record))
