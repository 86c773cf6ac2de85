"""Changes of consenters and members, on configurations of real channels (Fabric 2.5 Raft and 3.1.5 BFT)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from network.blocks.block import parse_block
from network.blocks.channel_config import APPLICATION, ORDERER, parse_config_envelope, read_channel_config
from network.blocks.protos import configtx, configuration, etcdraft, orderer_configuration, parse_into, serialize
from network.blocks.transaction import parse_envelope
from network.topology.channel_changes import with_certificates, with_consenters, with_member, without_member
from network.topology.description import Organization
from network.topology.layout import NodeFiles

NETWORKS = ("raft-2.5", "bft-3.1.5")


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def group(shared_data: Path, network: str) -> Any:
    """``common.ConfigGroup`` of the recorded channel's first block."""
    return first_configuration(shared_data, network).channel_group


def first_configuration(shared_data: Path, network: str) -> Any:
    block = parse_block((shared_data / "fabric" / network / "0000.block").read_bytes())
    return parse_config_envelope(parse_envelope(block.envelopes[0])).config


def copied(group: Any) -> Any:
    copy = configtx.ConfigGroup()
    copy.CopyFrom(group)
    return copy


def consenters(group: Any) -> list[Any]:
    orderer = group.groups[ORDERER]
    if "Orderers" in orderer.values:
        mapping = parse_into(configuration.Orderers(), orderer.values["Orderers"].value, "Orderers")
        return list(mapping.consenter_mapping)
    consensus = orderer.values["ConsensusType"].value
    kind = parse_into(orderer_configuration.ConsensusType(), consensus, "ConsensusType")
    return list(parse_into(etcdraft.ConfigMetadata(), kind.metadata, "ConfigMetadata").consenters)


def places(group: Any) -> list[tuple[str, int]]:
    return [(item.host, item.port) for item in consenters(group)]


def keep(group: Any, wanted: list[tuple[str, int]]) -> Any:
    """A target that has these consenters only, as a description without the others would found it."""
    target = copied(group)
    orderer = target.groups[ORDERER]
    chosen = [item for item in consenters(group) if (item.host, item.port) in wanted]
    if "Orderers" in orderer.values:
        for number, item in enumerate(chosen, 1):
            item.id = number  # a new channel counts from one
        orderer.values["Orderers"].value = serialize(configuration.Orderers(consenter_mapping=chosen))
        return target
    kind = parse_into(orderer_configuration.ConsensusType(), orderer.values["ConsensusType"].value, "ConsensusType")
    metadata = parse_into(etcdraft.ConfigMetadata(), kind.metadata, "ConfigMetadata")
    del metadata.consenters[:]
    metadata.consenters.extend(chosen)
    kind.metadata = serialize(metadata)
    orderer.values["ConsensusType"].value = serialize(kind)
    return target


def test_the_same_consenters_are_no_change(group: Any) -> None:
    changed = copied(group)
    with_consenters(group)(changed)
    assert serialize(changed) == serialize(group)


def test_the_policy_of_blocks_is_the_one_that_configtxgen_writes(group: Any, network: str) -> None:
    """BFT: the rule is computed from the consenters; founding wrote the same bytes. Raft leaves it alone."""
    changed = copied(group)
    with_consenters(group)(changed)
    written = [item.groups[ORDERER].policies["BlockValidation"].policy for item in (changed, group)]
    assert written[0] == written[1]
    assert (written[0].type == 1) == (network == "bft-3.1.5")


def test_who_leaves_goes_and_who_stays_keeps_place_and_number(group: Any) -> None:
    before = consenters(group)
    target = keep(group, places(group)[1:])
    changed = copied(group)
    with_consenters(target)(changed)
    assert [serialize(item) for item in consenters(changed)] == [serialize(item) for item in before[1:]]


def test_a_newcomer_comes_last_under_a_number_of_its_own(group: Any, network: str) -> None:
    smaller = copied(group)
    with_consenters(keep(group, places(group)[1:]))(smaller)
    with_consenters(group)(smaller)  # the first one again
    assert places(smaller) == [*places(group)[1:], places(group)[0]]
    if network == "bft-3.1.5":
        numbers = [item.id for item in consenters(smaller)]
        assert len(set(numbers)) == len(numbers)
        assert numbers == [2, 3, 4, 5]
        required = read_channel_config(configtx.Config(channel_group=smaller)).policy(
            "/Channel/Orderer/BlockValidation"
        )
        assert required is not None


def test_new_certificates_are_those_of_one_node_and_of_no_other(group: Any, network: str, tmp_path: Path) -> None:
    files = NodeFiles(tmp_path, "server")
    for folder in (tmp_path / "tls", tmp_path / "msp" / "signcerts"):
        folder.mkdir(parents=True)
    files.tls_certificate.write_bytes(b"new tls")
    (tmp_path / "msp" / "signcerts" / "cert.pem").write_bytes(b"new identity")
    changed = copied(group)
    place = places(group)[1]
    with_certificates(place, files)(changed)
    for before, after in zip(consenters(group), consenters(changed), strict=True):
        if (after.host, after.port) != place:
            assert serialize(after) == serialize(before)
            continue
        assert after.client_tls_cert == after.server_tls_cert == b"new tls"
        if network == "bft-3.1.5":
            assert (after.identity, after.id, after.msp_id) == (b"new identity", before.id, before.msp_id)
    rule = changed.groups[ORDERER].policies["BlockValidation"].policy.value
    assert (b"new identity" in rule) == (network == "bft-3.1.5")


def test_a_member_that_left_and_joined_again_is_as_it_was(group: Any) -> None:
    name = sorted(group.groups[APPLICATION].groups)[0]
    organization = Organization("h", name, 17000)
    group.groups[ORDERER].groups[organization.orderer_msp].CopyFrom(group.groups[ORDERER].groups[name])
    changed = copied(group)
    without_member(group, organization)(changed)
    assert name not in changed.groups[APPLICATION].groups
    assert organization.orderer_msp not in changed.groups[ORDERER].groups
    with_member(group, organization)(changed)
    assert serialize(changed) == serialize(group)


def test_who_endorses_changes_with_the_members(group: Any) -> None:
    target = copied(group)
    target.groups[APPLICATION].policies["Endorsement"].policy.value = b"another rule"
    changed = copied(group)
    changed.groups[APPLICATION].policies["Endorsement"].version = 7
    with_member(target, Organization("h", sorted(group.groups[APPLICATION].groups)[0], 17000))(changed)
    policy = changed.groups[APPLICATION].policies["Endorsement"]
    assert (policy.policy.value, policy.version) == (b"another rule", 7)
