from __future__ import annotations

from dataclasses import replace

import pytest

from domain import jcs
from domain.errors import Invalid, NotFound, Tampered
from domain.identifiers import encode_bytes
from offchain.envelope.composite import (
    MANIFEST_TYPE,
    Manifest,
    Member,
    open_manifest,
    open_member,
    seal_manifest,
    verify_member,
)
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.unseal import unseal
from tests.unit.offchain.sealing import fresh_id


def _instance(number: int) -> tuple[Member, SealedBytes]:
    key, header = DataKey.generate(), Header.fresh(fresh_id(), "HospitalA")
    content = b"DICM" + bytes([number]) * 1000
    sealed = seal(PlainBytes(content, Description("application/dicom")), key, header)
    attributes: jcs.JsonObject = {"sopInstanceUid": f"1.2.826.0.1.{number}"}
    return Member(header.object_id, sealed.digest, len(content), key, attributes), sealed


INSTANCES = [_instance(number) for number in range(3)]
MANIFEST = Manifest(tuple(member for member, _ in INSTANCES[:2]), {"modality": "CT"})


def test_a_manifest_opens_to_its_members_and_their_keys_open_them() -> None:
    key, header = DataKey.generate(), Header.fresh(fresh_id(), "HospitalA")
    sealed = seal_manifest(MANIFEST, key, header)
    opened = open_manifest(sealed.verified(sealed.digest), key, object_id=header.object_id)
    assert opened == MANIFEST
    for member, instance in INSTANCES[:2]:
        found = opened.member(member.object_id)
        plain = open_member(found, instance.verified(found.digest)).whole(max_bytes=found.length)
        assert len(plain.content) == found.length


@pytest.mark.parametrize("by", [-1, 1])
def test_a_member_of_another_length_than_the_manifest_says_is_refused(by: int) -> None:
    member, sealed = INSTANCES[0]
    with pytest.raises(Tampered) as caught:
        open_member(replace(member, length=member.length + by), sealed.verified(sealed.digest))
    assert caught.value.reason == "length"


def test_a_later_instance_makes_a_new_version_that_reuses_the_sealed_members() -> None:
    late, _ = INSTANCES[2]
    second = MANIFEST.with_members([late])
    key, header = DataKey.generate(), Header.fresh(fresh_id(), "HospitalA")
    sealed = seal_manifest(second, key, header)
    opened = open_manifest(sealed.verified(sealed.digest), key, object_id=header.object_id)
    assert [member.digest for member in opened.members] == [sealed.digest for _, sealed in INSTANCES]


def test_another_member_in_its_place_is_refused() -> None:
    (first, _), (_, second) = INSTANCES[:2]
    with pytest.raises(Tampered) as caught:
        verify_member(first, second.verified(second.digest))
    assert caught.value.reason == "other-object"


def test_member_keys_moved_between_members_or_manifests_are_refused() -> None:
    """Somebody who may write manifests but holds no key of theirs cannot re-use wrapped member keys."""
    key, header = DataKey.generate(), Header.fresh(fresh_id(), "HospitalA")
    sealed = seal_manifest(MANIFEST, key, header)
    content = unseal(sealed.verified(sealed.digest), key, object_id=header.object_id).whole(max_bytes=9999).content
    fields = jcs.parse_object(content)
    members = fields["members"]
    assert isinstance(members, list)
    first, second = members
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    first["key"], second["key"] = second["key"], first["key"]
    _refused(jcs.canonical(fields), key, header)
    _refused(content, key, Header.fresh(fresh_id(), "HospitalA"))


def _refused(content: bytes, key: DataKey, header: Header) -> None:
    forged = seal(PlainBytes(content, Description(MANIFEST_TYPE)), key, header)
    with pytest.raises(Tampered) as caught:
        open_manifest(forged.verified(forged.digest), key, object_id=header.object_id)
    assert caught.value.reason == "wrap-altered"


def test_an_object_that_is_no_manifest_is_invalid() -> None:
    member, sealed = INSTANCES[0]
    with pytest.raises(Invalid) as caught:
        open_manifest(sealed.verified(sealed.digest), member.key, object_id=member.object_id)
    assert caught.value.reason == "not-a-manifest"


def test_a_manifest_has_members_and_each_once() -> None:
    with pytest.raises(Invalid):
        Manifest(())
    with pytest.raises(Invalid):
        MANIFEST.with_members([MANIFEST.members[0]])
    with pytest.raises(NotFound):
        MANIFEST.member(fresh_id())


def test_a_member_is_valid_once_constructed() -> None:
    with pytest.raises(Invalid):
        Member("x", encode_bytes(bytes(32)), 1, DataKey.generate())
    with pytest.raises(Invalid):
        Member(fresh_id(), "x", 1, DataKey.generate())
    with pytest.raises(Invalid):
        Member(fresh_id(), encode_bytes(bytes(32)), -1, DataKey.generate())
    with pytest.raises(Invalid):
        Member(fresh_id(), encode_bytes(bytes(32)), 1, DataKey.generate(), {"weight": 1.5})
