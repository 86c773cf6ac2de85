"""Configuration updates: signatures by the changed element's own policy, and exactly the result of the change."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import Denied, Invalid, Tampered
from network.blocks.block import parse_block
from network.blocks.channel_config import ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.config_update import apply_config_transaction
from network.blocks.proposal import (
    NONCE_BYTES,
    build_channel_header,
    build_payload,
    build_signature_header,
    sign_envelope,
)
from network.blocks.protos import common, configtx, orderer_configuration, parse_into, serialize
from network.blocks.signature import EcdsaSigner
from network.blocks.transaction import Envelope, HeaderType, parse_envelope
from network.verifier.block_reader import BlockReader
from network.verifier.chain import ChainVerifier, verify_chain
from network.verifier.position import Position
from network.verifier.report import Rule
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, NOW_NS, HospitalChannel

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def channel() -> HospitalChannel:
    return HospitalChannel.new()


@pytest.fixture(scope="module")
def config(channel: HospitalChannel) -> ChannelConfig:
    return read_channel_config(_genesis_config(channel))


def _genesis_config(channel: HospitalChannel) -> Any:
    genesis = parse_envelope(parse_block(channel.blocks[0]).envelopes[0])
    return parse_config_envelope(genesis).config


def _slow_batches(write_set: Any) -> None:
    value = write_set.groups["Orderer"].values["BatchTimeout"]
    value.version, value.mod_policy = 1, "Admins"
    value.value = serialize(orderer_configuration.BatchTimeout(timeout="150ms"))


def _update(change: Change, *, channel_id: str = CHANNEL) -> bytes:
    """``common.ConfigUpdate`` that touches the Orderer group without changing its own version."""
    update = configtx.ConfigUpdate(channel_id=channel_id)
    for group in (update.read_set, update.write_set):
        group.groups["Orderer"].SetInParent()
    change(update.write_set)
    return serialize(update)


def _config_transaction(
    channel: HospitalChannel,
    update: bytes,
    admins: list[EcdsaSigner],
    proposed: Any,
    *,
    creator: EcdsaSigner | None = None,
) -> bytes:
    envelope = configtx.ConfigUpdateEnvelope(config_update=update)
    for admin in admins:
        header = build_signature_header(admin.identity, os.urandom(NONCE_BYTES))
        envelope.signatures.add(signature_header=header, signature=admin.sign(header + update))
    submitter = channel.hospitals[0].admin
    signature_header = build_signature_header(submitter.identity, os.urandom(NONCE_BYTES))
    header = build_channel_header(HeaderType.CONFIG_UPDATE, CHANNEL, "", NOW_NS)
    last_update = sign_envelope(build_payload(header, signature_header, serialize(envelope)), submitter)
    data = configtx.ConfigEnvelope(config=proposed, last_update=parse_into(common.Envelope(), last_update, "Envelope"))
    orderer = channel.hospitals[0].orderer
    outer = build_signature_header(orderer.identity, os.urandom(NONCE_BYTES))
    header = build_channel_header(HeaderType.CONFIG, CHANNEL, "", NOW_NS)
    return sign_envelope(build_payload(header, outer, serialize(data)), orderer)


def _proposed(channel: HospitalChannel, change: Change, sequence: int = 1) -> Any:
    config = _genesis_config(channel)
    config.sequence = sequence
    change(config.channel_group)
    return config


def _honest(channel: HospitalChannel, *, admins: int = 2) -> bytes:
    signers = [hospital.admin for hospital in channel.hospitals[:admins]]
    return _config_transaction(channel, _update(_slow_batches), signers, _proposed(channel, _slow_batches))


def _parsed(raw: bytes) -> Envelope:
    return parse_envelope(raw)


def test_an_update_signed_by_the_majority_is_applied(channel: HospitalChannel, config: ChannelConfig) -> None:
    updated = apply_config_transaction(config, _parsed(_honest(channel)))
    assert updated.sequence == 1
    assert updated.group.groups["Orderer"].values["BatchTimeout"].version == 1
    assert config.group.groups["Orderer"].values["BatchTimeout"].version == 0


def test_one_administrator_of_three_is_too_few(channel: HospitalChannel, config: ChannelConfig) -> None:
    with pytest.raises(Denied) as caught:
        apply_config_transaction(config, _parsed(_honest(channel, admins=1)))
    assert caught.value.place == "/Channel/Orderer/Admins"


def test_one_administrator_twice_and_clients_are_too_few(channel: HospitalChannel, config: ChannelConfig) -> None:
    first = channel.hospitals[0]
    clients = [hospital.client for hospital in channel.hospitals]
    for signers in ([first.admin, first.admin], clients):
        raw = _config_transaction(channel, _update(_slow_batches), signers, _proposed(channel, _slow_batches))
        with pytest.raises(Denied):
            apply_config_transaction(config, _parsed(raw))


def _also_something_else(group: Any) -> None:
    _slow_batches(group)
    group.groups["Orderer"].values["BatchSize"].value = b""


def _version_skipped(group: Any) -> None:
    _slow_batches(group)
    group.groups["Orderer"].values["BatchTimeout"].version = 2


def _nothing(group: Any) -> None:
    group.groups["Orderer"].SetInParent()


def _no_mod_policy(group: Any) -> None:
    _slow_batches(group)
    group.groups["Orderer"].values["BatchTimeout"].mod_policy = ""


def _new_value_without_its_group(group: Any) -> None:
    group.groups["Orderer"].values["Extra"].mod_policy = "Admins"


REFUSED: dict[str, tuple[Change, Change, int]] = {
    "result has another change": (_slow_batches, _also_something_else, 1),
    "sequence repeats": (_slow_batches, _slow_batches, 0),
    "sequence skips": (_slow_batches, _slow_batches, 2),
    "version skips": (_version_skipped, _version_skipped, 1),
    "nothing changes": (_nothing, _nothing, 1),
    "no mod policy": (_no_mod_policy, _no_mod_policy, 1),
}


@pytest.mark.parametrize("what", REFUSED)
def test_updates_that_do_not_add_up_are_refused(channel: HospitalChannel, config: ChannelConfig, what: str) -> None:
    change, result, sequence = REFUSED[what]
    admins = [hospital.admin for hospital in channel.hospitals]
    raw = _config_transaction(channel, _update(change), admins, _proposed(channel, result, sequence))
    with pytest.raises(Invalid):
        apply_config_transaction(config, _parsed(raw))


def test_an_update_of_another_channel_is_refused(channel: HospitalChannel, config: ChannelConfig) -> None:
    admins = [hospital.admin for hospital in channel.hospitals]
    update = _update(_slow_batches, channel_id="other")
    with pytest.raises(Invalid):
        apply_config_transaction(
            config, _parsed(_config_transaction(channel, update, admins, _proposed(channel, _slow_batches)))
        )


def test_an_update_against_an_older_version_is_refused(channel: HospitalChannel, config: ChannelConfig) -> None:
    updated = apply_config_transaction(config, _parsed(_honest(channel)))
    admins = [hospital.admin for hospital in channel.hospitals]
    again = _config_transaction(channel, _update(_slow_batches), admins, _proposed(channel, _slow_batches, sequence=2))
    with pytest.raises(Invalid):
        apply_config_transaction(updated, _parsed(again))


def test_an_element_that_its_group_does_not_name_has_no_effect(channel: HospitalChannel, config: ChannelConfig) -> None:
    raw = _config_transaction(channel, _update(_new_value_without_its_group), [], _proposed(channel, _nothing))
    updated = apply_config_transaction(config, _parsed(raw))
    assert "Extra" not in updated.group.groups["Orderer"].values


def _without_third(group: Any) -> None:
    del group.groups["Application"].groups["Hosp3MSP"]
    group.groups["Application"].version = 1


def _leaving(channel: HospitalChannel) -> bytes:
    update = configtx.ConfigUpdate(channel_id=CHANNEL)
    for group, change in ((update.read_set, _nothing), (update.write_set, _without_third)):
        group.groups["Application"].CopyFrom(_genesis_config(channel).channel_group.groups["Application"])
        change(group)
    update.read_set.groups["Application"].groups.pop("Hosp3MSP")
    for group in (update.read_set, update.write_set):
        group.groups.pop("Orderer", None)
    admins = [hospital.admin for hospital in channel.hospitals[:2]]
    return _config_transaction(channel, serialize(update), admins, _proposed(channel, _without_third))


def test_an_organisation_leaves_by_an_update_of_its_group(channel: HospitalChannel, config: ChannelConfig) -> None:
    updated = apply_config_transaction(config, _parsed(_leaving(channel)))
    assert list(updated.application_organizations) == ["Hosp1MSP", "Hosp2MSP"]
    assert list(updated.orderer_organizations) == ["Hosp1MSP", "Hosp2MSP", "Hosp3MSP"]


def test_each_block_tells_who_is_a_member_after_it(channel: HospitalChannel) -> None:
    blocks = [*channel.blocks, channel.block([_leaving(channel)], last_config=len(channel.blocks))]
    reader, verifier = BlockReader(CHANNEL, CHAINCODE, channel.genesis_hash), ChainVerifier()
    position: Position | None = None
    told = []
    for raw in blocks:
        block, position = reader.read(raw, position)
        told.append(block.members)
        assert verifier.add(raw).members == block.members
    assert told == [("Hosp1MSP", "Hosp2MSP", "Hosp3MSP")] * 2 + [("Hosp1MSP", "Hosp2MSP")]


def test_in_a_chain_the_update_counts_and_a_forged_one_is_named(channel: HospitalChannel) -> None:
    number = len(channel.blocks)
    honest = channel.block([_honest(channel)], last_config=number)
    assert verify_chain([*channel.blocks, honest]).config_sequence == 1
    for raw in (
        channel.block([_honest(channel, admins=1)], last_config=number),
        channel.block([_honest(channel), channel.write({"a": b"1"})], last_config=number),
    ):
        with pytest.raises(Tampered) as caught:
            verify_chain([*channel.blocks, raw])
        assert caught.value.reason == Rule.CONFIGURATION
    with pytest.raises(Tampered) as caught:
        verify_chain([*channel.blocks, channel.block([_honest(channel)], last_config=0)])
    assert caught.value.reason == Rule.LAST_CONFIG
