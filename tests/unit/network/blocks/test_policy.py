"""Signature policies and implicit meta policies."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from domain.errors import Denied, Invalid
from network.blocks.block import parse_block
from network.blocks.certification import distinguished
from network.blocks.channel_config import ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.lifecycle import n_out_of
from network.blocks.member import verify_member
from network.blocks.msp import Role
from network.blocks.policy import (
    SignedData,
    compile_signature_policy,
    implicit_meta_threshold,
    parse_signature_policy,
    signers,
)
from network.blocks.protos import msp_principal, policies, serialize
from network.blocks.signature import EcdsaSigner
from network.blocks.transaction import parse_envelope
from tests.unit.network.blocks.hospital_channel import Hospital, HospitalChannel


@pytest.fixture(scope="module")
def channel() -> HospitalChannel:
    return HospitalChannel.new()


@pytest.fixture(scope="module")
def config(channel: HospitalChannel) -> ChannelConfig:
    genesis = parse_envelope(parse_block(channel.blocks[0]).envelopes[0])
    return read_channel_config(parse_config_envelope(genesis).config)


def _sign(*people: EcdsaSigner) -> list[SignedData]:
    return [SignedData(b"message", person.identity, person.sign(b"message")) for person in people]


def _people(channel: HospitalChannel, names: str) -> list[EcdsaSigner]:
    """ "peer1 admin2" → signers."""
    found = []
    for name in names.split():
        signer: EcdsaSigner = getattr(channel.hospitals[int(name[-1]) - 1], name[:-1])
        found.append(signer)
    return found


META = [
    ("/Channel/Application/Writers", "client1", True),
    ("/Channel/Application/Writers", "peer3", True),
    ("/Channel/Application/Writers", "", False),
    ("/Channel/Application/Admins", "admin1", False),
    ("/Channel/Application/Admins", "admin1 admin1 admin1", False),
    ("/Channel/Application/Admins", "admin1 admin3", True),
    ("/Channel/Application/Admins", "client1 client2 client3", False),
    ("/Channel/Orderer/BlockValidation", "orderer2", True),
    ("/Channel/Admins", "admin2 admin3", True),
    ("/Channel/Admins", "admin2", False),
    ("/Channel/Application/Hosp2MSP/Admins", "admin2", True),
    ("/Channel/Application/Hosp2MSP/Admins", "admin1", False),
    ("/Channel/Application/Endorsement", "peer1 peer2", True),
    ("/Channel/Application/Endorsement", "peer1 peer1", False),
    ("/Channel/Application/Endorsement", "peer1 client2", False),
    ("/Channel/Application/Endorsement", "client1 peer3 admin1 peer2", True),
]


@pytest.mark.parametrize(("path", "names", "fulfilled"), META)
def test_policies_of_the_channel(
    channel: HospitalChannel, config: ChannelConfig, path: str, names: str, *, fulfilled: bool
) -> None:
    policy = config.policy(path)
    assert policy is not None
    assert policy.satisfied_by(signers(_sign(*_people(channel, names)), config.msps)) is fulfilled


def test_a_missing_policy_is_none(config: ChannelConfig) -> None:
    for path in ("/Channel/Nothing", "/Channel/Nobody/Admins", "/Elsewhere/Admins", ""):
        assert config.policy(path) is None


@pytest.mark.parametrize(
    ("rule", "count", "threshold"),
    [("ANY", 0, 0), ("ANY", 3, 1), ("ALL", 3, 3), ("MAJORITY", 1, 1), ("MAJORITY", 2, 2), ("MAJORITY", 3, 2),
     ("MAJORITY", 4, 3)],
)  # fmt: skip
def test_thresholds_of_implicit_meta_policies(rule: str, count: int, threshold: int) -> None:
    assert implicit_meta_threshold(policies.ImplicitMetaPolicy.Rule.Value(rule), count) == threshold


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(Invalid):
        implicit_meta_threshold(9, 3)


def test_an_identity_counts_once_however_often_it_signs(channel: HospitalChannel, config: ChannelConfig) -> None:
    peer = channel.hospitals[0].peer
    assert len(signers(_sign(peer, peer, peer), config.msps)) == 1


def test_a_bad_signature_does_not_hide_a_good_one_of_the_same_signer(
    channel: HospitalChannel, config: ChannelConfig
) -> None:
    peer = channel.hospitals[0].peer
    (good,) = _sign(peer)
    bad = SignedData(b"other message", peer.identity, good.signature)
    assert len(signers([bad, good], config.msps)) == 1
    assert signers([bad], config.msps) == []


def test_strangers_and_unreadable_identities_do_not_count(config: ChannelConfig) -> None:
    impostor, stranger = Hospital.new("Hosp1MSP").peer, Hospital.new("Hosp9MSP").peer
    unreadable = SignedData(b"message", b"\xff", b"")
    assert signers([*_sign(impostor, stranger), unreadable], config.msps) == []
    with pytest.raises(Denied):
        verify_member(stranger.identity, config.msps)


def _principal(kind: str, message: Any) -> Any:
    value = message if isinstance(message, bytes) else serialize(message)
    classification = msp_principal.MSPPrincipal.Classification.Value(kind)
    return msp_principal.MSPPrincipal(principal_classification=classification, principal=value)


def _single(principal: Any) -> Any:
    envelope = policies.SignaturePolicyEnvelope(identities=[principal])
    envelope.rule.signed_by = 0
    return envelope


def test_one_member_fulfils_one_leaf_only(channel: HospitalChannel, config: ChannelConfig) -> None:
    envelope = n_out_of(2, ["Hosp1MSP", "Hosp1MSP"], Role.MEMBER)
    policy = compile_signature_policy(envelope)
    hospital = channel.hospitals[0]
    assert not policy.satisfied_by(signers(_sign(hospital.peer), config.msps))
    assert policy.satisfied_by(signers(_sign(hospital.peer, hospital.client), config.msps))


def test_a_failed_branch_uses_nobody_up(channel: HospitalChannel, config: ChannelConfig) -> None:
    envelope = n_out_of(1, ["Hosp1MSP", "Hosp2MSP"], Role.PEER)
    both = policies.SignaturePolicy()
    both.n_out_of.n = 2
    both.n_out_of.rules.add().signed_by = 0
    both.n_out_of.rules.add().signed_by = 1
    del envelope.rule.n_out_of.rules[:]
    envelope.rule.n_out_of.rules.append(both)
    envelope.rule.n_out_of.rules.add().signed_by = 0
    policy = parse_signature_policy(serialize(envelope))
    assert policy.satisfied_by(signers(_sign(channel.hospitals[0].peer), config.msps))


@pytest.mark.parametrize(("name", "fulfilled"), [("peer1", True), ("client1", False), ("peer2", False)])
def test_an_identity_principal_is_one_certificate(
    channel: HospitalChannel, config: ChannelConfig, name: str, *, fulfilled: bool
) -> None:
    policy = compile_signature_policy(_single(_principal("IDENTITY", channel.hospitals[0].peer.identity)))
    assert policy.satisfied_by(signers(_sign(*_people(channel, name)), config.msps)) is fulfilled


@pytest.mark.parametrize(("name", "fulfilled"), [("peer1", True), ("client1", False), ("peer2", False)])
def test_unit_and_combined_principals(
    channel: HospitalChannel, config: ChannelConfig, name: str, *, fulfilled: bool
) -> None:
    (root,) = verify_member(channel.hospitals[0].peer.identity, config.msps).membership.chain
    unit = _principal(
        "ORGANIZATION_UNIT",
        msp_principal.OrganizationUnit(
            msp_identifier="Hosp1MSP",
            organizational_unit_identifier="peer",
            certifiers_identifier=hashlib.sha256(distinguished(root, root)).digest(),
        ),
    )
    member = _principal("ROLE", msp_principal.MSPRole(msp_identifier="Hosp1MSP", role=0))
    combined = _principal("COMBINED", msp_principal.CombinedPrincipal(principals=[unit, member]))
    for principal in (unit, combined):
        policy = compile_signature_policy(_single(principal))
        assert policy.satisfied_by(signers(_sign(*_people(channel, name)), config.msps)) is fulfilled


def _nested(levels: int) -> bytes:
    """A policy of one leaf, byte by byte: libraries do not build deep ones."""
    rule = b"\x08\x00"
    for _ in range(levels):
        rule = _field(2, b"\x08\x01" + _field(2, rule))
    role = serialize(_principal("ROLE", msp_principal.MSPRole(msp_identifier="Hosp1MSP", role=0)))
    return _field(2, rule) + _field(3, role)


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size >= 0x80:
        length, size = length + bytes((size & 0x7F | 0x80,)), size >> 7
    return bytes((number << 3 | 2,)) + length + bytes((size,)) + content


def _out_of_range() -> Any:
    envelope = n_out_of(1, ["Hosp1MSP"], Role.PEER)
    envelope.rule.n_out_of.rules[0].signed_by = 1
    return envelope


MALFORMED: dict[str, Any] = {
    "nothing": policies.SignaturePolicyEnvelope(),
    "unknown version": policies.SignaturePolicyEnvelope(version=1),
    "principal that is not there": _out_of_range(),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_policies_are_refused(what: str) -> None:
    with pytest.raises(Invalid):
        compile_signature_policy(MALFORMED[what])


def test_policies_nest_as_deep_as_the_library_reads(channel: HospitalChannel, config: ChannelConfig) -> None:
    policy = parse_signature_policy(_nested(40))
    assert policy.satisfied_by(signers(_sign(channel.hospitals[0].peer), config.msps))
    with pytest.raises(Invalid) as caught:
        parse_signature_policy(_nested(80))
    assert caught.value.reason == "bad-protobuf"


NOBODY: dict[str, Any] = {
    "unknown role": _principal("ROLE", msp_principal.MSPRole(msp_identifier="Hosp1MSP", role=9)),
    "unreadable role": _principal("ROLE", b"\xff"),
    "anonymous": _principal("ANONYMITY", msp_principal.MSPIdentityAnonymity(anonymity_type=1)),
    "empty combination": _principal("COMBINED", b""),
    "unreadable combination": _principal("COMBINED", b"\xff"),
    "unreadable identity": _principal("IDENTITY", b"\xff"),
    "unit of no authority": _principal(
        "ORGANIZATION_UNIT",
        msp_principal.OrganizationUnit(msp_identifier="Hosp1MSP", organizational_unit_identifier="peer"),
    ),
    "unknown kind": msp_principal.MSPPrincipal(principal_classification=9),
}


@pytest.mark.parametrize("what", NOBODY)
def test_a_principal_that_cannot_be_read_is_nobody(what: str, channel: HospitalChannel, config: ChannelConfig) -> None:
    member = _principal("ROLE", msp_principal.MSPRole(msp_identifier="Hosp1MSP", role=0))
    both = _principal("COMBINED", msp_principal.CombinedPrincipal(principals=[member, NOBODY[what]]))
    people = signers(_sign(channel.hospitals[0].peer), config.msps)
    for principal, fulfilled in ((NOBODY[what], False), (both, False), (member, True)):
        assert parse_signature_policy(serialize(_single(principal))).satisfied_by(people) is fulfilled


def test_combinations_nest_without_a_bound(channel: HospitalChannel, config: ChannelConfig) -> None:
    principal = _principal("ANONYMITY", b"")
    for _ in range(2_000):
        principal = _principal("COMBINED", msp_principal.CombinedPrincipal(principals=[principal]))
    policy = compile_signature_policy(_single(principal))
    assert policy.satisfied_by(signers(_sign(channel.hospitals[0].peer), config.msps))


@pytest.mark.parametrize("value", [b"\xff", serialize(_single(NOBODY["unreadable identity"])), _nested(80)])
def test_a_policy_of_one_member_ends_nobody_elses(value: bytes, channel: HospitalChannel) -> None:
    genesis = parse_config_envelope(parse_envelope(parse_block(channel.blocks[0]).envelopes[0])).config
    hospital = channel.hospitals[1]
    for group in ("Application", "Orderer"):
        mine = genesis.channel_group.groups[group].groups[hospital.msp_id].policies["Writers"].policy
        mine.type, mine.value = 1, value
    config = read_channel_config(genesis)
    for path in ("/Channel/Orderer/BlockValidation", "/Channel/Application/Writers"):
        policy = config.policy(path)
        assert policy is not None
        assert policy.satisfied_by(signers(_sign(channel.hospitals[0].peer), config.msps))


def test_a_policy_that_nobody_can_fulfil_is_not_built() -> None:
    for required in (0, 3):
        with pytest.raises(Invalid):
            n_out_of(required, ["Hosp1MSP", "Hosp2MSP"], Role.PEER)
