"""Blocks of real Fabric networks (2.5 Raft, 3.1.5 Raft and SmartBFT): every recorded value is found again."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-not-found]

from domain.errors import Tampered
from network.blocks.block import Block, parse_block
from network.blocks.channel_config import ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.codes import ValidationCode
from network.blocks.config_update import parse_config_update
from network.blocks.identity import parse_identity, read_pem
from network.blocks.lifecycle import NAMESPACE, peers_policy, read_definition
from network.blocks.protos import common, serialize
from network.blocks.transaction import Envelope, parse_envelope
from network.blocks.validation import ValidatedTransaction
from network.verifier.chain import ChainVerifier, verify_chain
from network.verifier.folder import read_blocks
from network.verifier.report import Rule, VerifiedBlock

NETWORKS = ("raft-2.5", "raft-3.1.5", "bft-3.1.5")
COPIES = ("peer1", "orderer2")


@dataclass(frozen=True)
class Recording:
    """One copy of one recorded channel, verified."""

    copy: str
    expected: dict[str, Any]
    folder: Path
    raw: tuple[bytes, ...]
    blocks: tuple[Block, ...]
    verified: tuple[VerifiedBlock, ...]
    verifier: ChainVerifier

    @property
    def per_block(self) -> list[tuple[dict[str, Any], Block, VerifiedBlock]]:
        return list(zip(self.expected["blocks"], self.blocks, self.verified, strict=True))

    @property
    def transactions(self) -> list[tuple[dict[str, Any], ValidatedTransaction]]:
        return [
            pair
            for expected, _, verified in self.per_block
            for pair in zip(expected["transactions"], verified.transactions, strict=True)
        ]


@pytest.fixture(scope="module", params=[(network, copy) for network in NETWORKS for copy in COPIES], ids="-".join)
def recording(request: pytest.FixtureRequest, shared_data: Path) -> Recording:
    network, copy = request.param
    folder = shared_data / "fabric" / network
    raw = tuple(read_blocks(folder if copy == "peer1" else folder / "orderer-copy"))
    verifier = ChainVerifier()
    verified = tuple(verifier.add(block) for block in raw)
    expected = json.loads((folder / "expected.json").read_text())
    return Recording(copy, expected, folder, raw, tuple(parse_block(block) for block in raw), verified, verifier)


def _genesis_config(recording: Recording) -> ChannelConfig:
    return read_channel_config(parse_config_envelope(parse_envelope(recording.blocks[0].envelopes[0])).config)


def _envelope(item: ValidatedTransaction) -> Envelope:
    assert item.envelope is not None
    return item.envelope


def test_header_hashes_previous_hashes_and_data_hashes_are_fabrics(recording: Recording) -> None:
    for expected, block, verified in recording.per_block:
        assert block.number == expected["number"]
        assert block.header.previous_hash.hex() == expected["previous_hash"]
        assert block.header.data_hash.hex() == block.data_hash().hex() == expected["data_hash"]
        assert block.header.hash().hex() == verified.header_hash.hex() == expected["header_hash"]


def test_heights_and_hashes_are_those_that_every_peer_answered(recording: Recording) -> None:
    assert recording.verifier.height == recording.expected["height"]
    for info in recording.expected["getinfo"]:
        assert recording.verified[info["height"] - 1].header_hash.hex() == info["currentBlockHash"]
        assert recording.verified[info["height"] - 2].header_hash.hex() == info["previousBlockHash"]


def test_transaction_ids_types_and_creators_are_fabrics(recording: Recording) -> None:
    for expected, item in recording.transactions:
        envelope = _envelope(item)
        assert (envelope.tx_id, envelope.type_name) == (expected["tx_id"], expected["type"])
        assert envelope.channel == recording.expected["channel"]
        creator = parse_identity(envelope.creator).msp_id if envelope.creator else None
        assert creator == expected["creator_msp_id"]


def test_validation_codes_are_recomputed_as_every_peer_decided(recording: Recording) -> None:
    for expected, item in recording.transactions:
        assert item.code.name == expected["validation_code"], expected["step"]
        assert item.code.name == expected.get("commit_status", item.code.name)


def test_filter_of_a_peers_copy_is_recomputed_and_an_orderers_copy_has_none(recording: Recording) -> None:
    for block, verified in zip(recording.blocks, recording.verified, strict=True):
        assert block.validation_codes == (verified.codes if recording.copy == "peer1" else b"")


def test_endorsers_chaincode_event_and_writes_are_fabrics(recording: Recording) -> None:
    endorsed = 0
    for expected, item in recording.transactions:
        transaction = item.transaction
        if transaction is None:
            assert expected["endorser_msp_ids"] == []
            continue
        endorsers = [parse_identity(endorsement.endorser).msp_id for endorsement in transaction.endorsements]
        assert endorsers == expected["endorser_msp_ids"]
        assert transaction.chaincode == expected["chaincode"]
        assert (transaction.event.name if transaction.event else None) == expected["event"]
        assert {rwset.namespace: len(rwset.writes) for rwset in transaction.rwsets} == expected["writes"]
        endorsed += 1
    assert endorsed == recording.expected["height"] - 1


def test_orderer_signatures_are_by_the_recorded_signers(recording: Recording) -> None:
    for expected, _, verified in recording.per_block:
        signers = verified.orderer_signers
        by_copy = [signer.consenter_id or signer.common_name for signer in signers]
        assert by_copy == expected["signers_by_copy"][recording.copy]
        if recording.copy != "peer1":
            continue
        for signer, entry in zip(signers, expected["orderer_signatures"], strict=True):
            assert signer.consenter_id == entry.get("consenter_id", 0)
            assert (signer.msp_id, signer.common_name) == (entry["msp_id"], entry["cn"])
            assert hashlib.sha256(signer.certificate_der).hexdigest() == entry["cert_sha256"]


def test_last_configuration_and_bft_view_are_fabrics(recording: Recording) -> None:
    for expected, block, _ in recording.per_block[1:]:
        assert block.last_config == expected["last_config"]
        if "bft_sequence" in expected:
            fields = {
                item.field_number: item.data for item in UnknownFieldSet(Empty.FromString(block.consenter_metadata))
            }
            view = [fields.get(number, 0) for number in (1, 2, 3)]
            assert view == [expected["bft_view"], expected["bft_sequence"], expected["bft_decisions_in_view"]]


def test_organisations_and_their_authorities_are_those_of_the_network(recording: Recording) -> None:
    config = _genesis_config(recording)
    expected = {item["msp_id"]: item for item in recording.expected["organisations"]}
    assert set(config.msps) == set(expected)
    for msp_id, msp in config.msps.items():
        authorities = {"cacerts": msp.authorities.roots, "intermediatecerts": msp.authorities.intermediates}
        for kind, certificates in authorities.items():
            files = [read_pem((recording.folder / path).read_bytes()) for path in expected[msp_id][kind]]
            assert [item.raw for item in certificates] == [item.raw for item in files]
        roles = {"peer": config.application_organizations, "orderer": config.orderer_organizations}
        found = [role for role, organizations in roles.items() if msp_id in organizations.values()]
        assert found == expected[msp_id]["roles"]


def test_capabilities_consensus_and_consenters_are_those_of_the_network(recording: Recording) -> None:
    config = _genesis_config(recording)
    capabilities = recording.expected["capabilities"]
    assert sorted(config.capabilities()) == capabilities["Channel"]
    assert sorted(config.capabilities("Orderer")) == capabilities["Orderer"]
    assert sorted(config.capabilities("Application")) == capabilities["Application"]
    assert config.consensus_type == {"SmartBFT": "BFT"}.get(recording.expected["consensus"], "etcdraft")
    assert len(config.consenters) == len(recording.expected["consenters"])
    for expected in recording.expected["consenters"]:
        consenter = config.consenters[expected["consenter_id"]]
        identity = parse_identity(consenter.identity)
        assert (consenter.msp_id, identity.common_name) == (expected["msp_id"], expected["cn"])
        assert list(identity.organizational_units) == expected["ou"]
        assert hashlib.sha256(identity.der).hexdigest() == expected["cert_sha256"]


def test_committed_definition_holds_the_recorded_endorsement_policy(recording: Recording) -> None:
    name = recording.expected["chaincode"]["name"]
    definition = read_definition(lambda key: recording.verifier.state.get(NAMESPACE, key), name)
    assert definition is not None
    assert (definition.sequence, definition.validation_plugin) == (1, "vscc")
    peers = [item["msp_id"] for item in recording.expected["organisations"] if "peer" in item["roles"]]
    policy = "OutOf(2," + ",".join(f"'{msp_id}.peer'" for msp_id in peers) + ")"
    assert policy == recording.expected["chaincode"]["endorsement_policy"]
    assert definition.validation_parameter == peers_policy(2, peers)


def test_configuration_update_is_applied_with_its_signers(recording: Recording) -> None:
    number = recording.expected["config_update"]["block"]
    verified = recording.verified[number]
    envelope = _envelope(verified.transactions[0])
    (expected,) = recording.expected["blocks"][number]["transactions"]
    msp_ids = [parse_identity(item.identity).msp_id for item in parse_config_update(envelope).signed]
    assert msp_ids == expected["config_update_signer_msp_ids"] == recording.expected["config_update"]["signer_msp_ids"]
    assert verified.config_sequence == expected["config_sequence"] == 1
    assert recording.verified[number - 1].config_sequence == 0
    timeout = recording.verifier.config.group.groups["Orderer"].values["BatchTimeout"].value
    assert timeout.endswith(b"150ms")


def test_each_copy_verifies_against_its_genesis_and_names_what_was_not_checked(recording: Recording) -> None:
    genesis = recording.verified[0].header_hash
    report = verify_chain(recording.raw, expected_genesis=genesis)
    assert report.genesis_hash == genesis
    assert report.head_hash == recording.verified[-1].header_hash
    assert report.codes[ValidationCode.MVCC_READ_CONFLICT.name] == 1
    assert report.codes[ValidationCode.ENDORSEMENT_POLICY_FAILURE.name] == 1
    assert any("filter" in text or "codes" in text for text in report.not_checked) == (recording.copy != "peer1")


def test_a_flipped_bit_anywhere_is_noticed_in_its_block(recording: Recording) -> None:
    dice = random.Random(20261122)  # noqa: S311 (which bits: repeatable, no secret)
    for number in range(len(recording.raw)):
        for _ in range(3):
            altered = bytearray(recording.raw[number])
            altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
            chain = [*recording.raw[:number], bytes(altered), *recording.raw[number + 1 :]]
            with pytest.raises(Tampered) as caught:
                verify_chain(chain, expected_genesis=recording.verified[0].header_hash)
            named = {f"block {number}", f"block {number + 1}"}
            assert caught.value.place in named


def _replaced(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert raw.count(old) == 1
    assert len(old) == len(new)
    return raw.replace(old, new)


def _flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("previous_hash", Rule.PREVIOUS_HASH),
        ("data_hash", Rule.DATA_HASH),
        ("transaction", Rule.DATA_HASH),
        ("orderer signature", Rule.ORDERER_SIGNATURE),
        ("commit hash", Rule.COMMIT_HASH),
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_changed_part_of_a_block_is_named(shared_data: Path, network: str, part: str, rule: Rule) -> None:
    chain = list(read_blocks(shared_data / "fabric" / network))
    block = parse_block(chain[7])
    old = {
        "previous_hash": block.header.previous_hash,
        "data_hash": block.header.data_hash,
        "transaction": block.envelopes[0],
        "orderer signature": block.signatures[0].signature[10:],
        "commit hash": block.commit_hash,
    }[part]
    chain[7] = _replaced(chain[7], old, _flipped(old))
    with pytest.raises(Tampered) as caught:
        verify_chain(chain)
    assert (caught.value.reason, caught.value.place) == (rule, "block 7")


@pytest.mark.parametrize("network", NETWORKS)
def test_removed_swapped_and_foreign_blocks_are_noticed(shared_data: Path, network: str) -> None:
    chain = list(read_blocks(shared_data / "fabric" / network))
    other = list(read_blocks(shared_data / "fabric" / NETWORKS[NETWORKS.index(network) - 1]))
    cases = {
        Rule.NUMBER: [*chain[:5], *chain[6:]],
        Rule.PREVIOUS_HASH: [*chain[:5], other[5], *chain[6:]],
    }
    for rule, altered in cases.items():
        with pytest.raises(Tampered) as caught:
            verify_chain(altered)
        assert (caught.value.reason, caught.value.place) == (rule, "block 5")
    with pytest.raises(Tampered, match="number 6"):
        verify_chain([*chain[:5], chain[6], chain[5], *chain[7:]])
    with pytest.raises(Tampered) as caught:
        verify_chain(chain, expected_genesis=parse_block(other[0]).header.hash())
    assert caught.value.reason == Rule.GENESIS


def test_two_of_four_byzantine_signatures_are_too_few(shared_data: Path) -> None:
    chain = list(read_blocks(shared_data / "fabric" / "bft-3.1.5"))
    with pytest.raises(Tampered, match="quorum"):
        verify_chain([*chain[:3], _with_signatures(chain[3], lambda signatures: signatures[:2])])
    with pytest.raises(Tampered, match="quorum"):
        verify_chain([*chain[:3], _with_signatures(chain[3], lambda signatures: [])])
    twice = _with_signatures(chain[3], lambda signatures: [signatures[0], signatures[0], signatures[1]])
    with pytest.raises(Tampered, match="twice"):
        verify_chain([*chain[:3], twice])


def _with_signatures(raw: bytes, change: Callable[[list[Any]], list[Any]]) -> bytes:
    block = common.Block.FromString(raw)
    metadata = common.Metadata.FromString(block.metadata.metadata[0])
    kept = change(list(metadata.signatures))
    del metadata.signatures[:]
    metadata.signatures.extend(kept)
    block.metadata.metadata[0] = serialize(metadata)
    return serialize(block)
