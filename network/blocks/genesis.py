"""The genesis block of a channel, as configtxgen would write it (Fabric internal/configtxgen/encoder)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from network.blocks.block import build_block
from network.blocks.channel_config import APPLICATION, ORDERER
from network.blocks.lifecycle import n_out_of
from network.blocks.msp import Role
from network.blocks.proposal import build_channel_header, build_payload, build_signature_header, transaction_id
from network.blocks.protos import (
    common,
    configtx,
    configuration,
    msp_config,
    orderer_configuration,
    policies,
    serialize,
)
from network.blocks.transaction import HeaderType

_ADMINS = "Admins"


@dataclass(frozen=True, slots=True)
class Organization:
    """A member of the channel; role units are on, so each certificate carries one of client, peer, admin, orderer."""

    msp_id: str
    root_certificates: tuple[bytes, ...]
    intermediate_certificates: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not self.msp_id or not self.root_certificates:
            raise Invalid("an organisation has an MSP id and a root certificate", reason="bad-msp")


def build_genesis_block(
    *,
    channel: str,
    organizations: Sequence[Organization],
    endorsements_required: int,
    consensus_type: str,
    timestamp_ns: int,
    nonce: bytes,
    orderer_organizations: Sequence[Organization] | None = None,
    max_message_count: int = 500,
    batch_timeout_ms: int = 100,
) -> bytes:
    """Serializes block 0.

    Policies: Readers and Writers ANY, Admins MAJORITY, BlockValidation ANY Writers of the ordering organisations,
    Endorsement and LifecycleEndorsement signatures by peers of ``endorsements_required`` organisations.
    Capabilities: Channel V2_0, Orderer V2_0, Application V2_5.

    Args:
        orderer_organizations: default the same as ``organizations`` (one MSP for peer and orderer).

    Raises:
        Invalid: more endorsements required than there are organisations.
    """
    config = configtx.Config()
    root = config.channel_group
    _fill_root(root)
    orderers = organizations if orderer_organizations is None else orderer_organizations
    _fill_application(root.groups[APPLICATION], organizations, endorsements_required)
    _fill_orderer(root.groups[ORDERER], orderers, consensus_type, max_message_count, batch_timeout_ms)
    payload = build_payload(
        build_channel_header(HeaderType.CONFIG, channel, transaction_id(nonce, b""), timestamp_ns),
        build_signature_header(b"", nonce),
        serialize(configtx.ConfigEnvelope(config=config)),
    )
    envelope = serialize(common.Envelope(payload=payload))
    return build_block(
        number=0,
        previous_hash=b"",
        envelopes=[envelope],
        last_config=0,
        orderer=None,
        validation_codes=b"\0",
    )


def _fill_root(group: Any) -> None:
    _value(group, "HashingAlgorithm", configuration.HashingAlgorithm(name="SHA256"))
    _value(group, "BlockDataHashingStructure", configuration.BlockDataHashingStructure(width=2**32 - 1))
    _capability(group, "V2_0")
    _meta_policies(group)


def _fill_application(group: Any, organizations: Sequence[Organization], required: int) -> None:
    _capability(group, "V2_5")
    _meta_policies(group)
    endorsement = n_out_of(required, [item.msp_id for item in organizations], Role.PEER)
    _signature_policy(group, "Endorsement", endorsement)
    _signature_policy(group, "LifecycleEndorsement", endorsement)
    for organization in organizations:
        _fill_organization(group.groups[organization.msp_id], organization)


def _fill_orderer(
    group: Any, organizations: Sequence[Organization], consensus: str, max_message_count: int, timeout_ms: int
) -> None:
    _capability(group, "V2_0")
    _meta_policies(group)
    _meta_policy(group, "BlockValidation", "Writers", "ANY")
    _value(group, "ConsensusType", orderer_configuration.ConsensusType(type=consensus))
    size = orderer_configuration.BatchSize(
        max_message_count=max_message_count, absolute_max_bytes=64 << 20, preferred_max_bytes=64 << 20
    )
    _value(group, "BatchSize", size)
    _value(group, "BatchTimeout", orderer_configuration.BatchTimeout(timeout=f"{timeout_ms}ms"))
    for organization in organizations:
        _fill_organization(group.groups[organization.msp_id], organization)


def _fill_organization(group: Any, organization: Organization) -> None:
    group.mod_policy = _ADMINS
    _value(group, "MSP", _msp(organization))
    for name, role in (
        ("Readers", Role.MEMBER),
        ("Writers", Role.MEMBER),
        (_ADMINS, Role.ADMIN),
        ("Endorsement", Role.PEER),
    ):
        _signature_policy(group, name, n_out_of(1, [organization.msp_id], role))


def _msp(organization: Organization) -> Any:
    fabric = msp_config.FabricMSPConfig(
        name=organization.msp_id,
        root_certs=organization.root_certificates,
        intermediate_certs=organization.intermediate_certificates,
    )
    fabric.crypto_config.signature_hash_family = "SHA2"
    fabric.crypto_config.identity_identifier_hash_function = "SHA256"
    fabric.fabric_node_ous.enable = True
    for role in ("client", "peer", "admin", "orderer"):
        getattr(fabric.fabric_node_ous, f"{role}_ou_identifier").organizational_unit_identifier = role
    return msp_config.MSPConfig(type=0, config=serialize(fabric))


def _value(group: Any, name: str, message: Any) -> None:
    group.values[name].value = serialize(message)
    group.values[name].mod_policy = _ADMINS


def _capability(group: Any, name: str) -> None:
    capabilities = configuration.Capabilities()
    capabilities.capabilities[name].SetInParent()
    _value(group, "Capabilities", capabilities)


def _meta_policies(group: Any) -> None:
    group.mod_policy = _ADMINS
    _meta_policy(group, "Readers", "Readers", "ANY")
    _meta_policy(group, "Writers", "Writers", "ANY")
    _meta_policy(group, _ADMINS, _ADMINS, "MAJORITY")


def _meta_policy(group: Any, name: str, sub_policy: str, rule: str) -> None:
    meta = policies.ImplicitMetaPolicy(sub_policy=sub_policy, rule=policies.ImplicitMetaPolicy.Rule.Value(rule))
    _policy(group, name, "IMPLICIT_META", meta)


def _signature_policy(group: Any, name: str, envelope: Any) -> None:
    _policy(group, name, "SIGNATURE", envelope)


def _policy(group: Any, name: str, kind: str, message: Any) -> None:
    entry = group.policies[name]
    entry.policy.type = policies.Policy.PolicyType.Value(kind)
    entry.policy.value = serialize(message)
    entry.mod_policy = _ADMINS
