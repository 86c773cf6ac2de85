"""Channel configuration: organisations, policies, capabilities and consenters (Fabric common/channelconfig).

A ``ChannelConfig`` is immutable: a configuration block makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Invalid
from network.blocks.identity import parse_certificate, serialize_identity
from network.blocks.msp import Msp, parse_msp
from network.blocks.policy import (
    MAX_POLICY_DEPTH,
    ImplicitMetaPolicy,
    Policy,
    compile_signature_policy,
    implicit_meta_threshold,
    parse_signature_policy,
)
from network.blocks.protos import configtx, configuration, orderer_configuration, parse_into, policies
from network.blocks.transaction import Envelope

ROOT = "Channel"
APPLICATION = "Application"
ORDERER = "Orderer"


@dataclass(frozen=True, slots=True)
class Consenter:
    """A member of a BFT ordering service; ``identity`` is its serialized identity."""

    id: int
    msp_id: str
    identity: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ChannelConfig:
    """One configuration of a channel, read and ready to be asked.

    Attributes:
        sequence: 0 in the genesis block, one more with every update.
        group: ``common.ConfigGroup`` of the channel, for updates.
        msps: by MSP id, over all organisations of the channel.
        application_organizations: group name → MSP id.
        orderer_organizations: group name → MSP id.
        consensus_type: for example ``etcdraft``, ``BFT``, ``embedded``.
        consenters: of BFT ordering by id; empty otherwise.
    """

    sequence: int
    group: Any
    msps: Mapping[str, Msp]
    application_organizations: Mapping[str, str]
    orderer_organizations: Mapping[str, str]
    consensus_type: str
    consenters: Mapping[int, Consenter]
    _policies: dict[str, Policy | None] = field(default_factory=dict, repr=False)
    _application_policies: dict[bytes, Policy | None] = field(default_factory=dict, repr=False)

    @property
    def members(self) -> tuple[str, ...]:
        """MSP ids of the application's organisations, in order."""
        return tuple(sorted(set(self.application_organizations.values())))

    def policy(self, path: str) -> Policy | None:
        """The policy at an absolute path such as ``/Channel/Application/Endorsement``; ``None`` if there is none."""
        if path not in self._policies:
            self._policies[path] = self._read_policy(path, 0)
        return self._policies[path]

    def application_policy(self, raw: bytes) -> Policy | None:
        """The policy that a chaincode definition asks for: its own, or one of the channel by reference.

        Raises:
            Invalid: not an ``ApplicationPolicy``.
        """
        if raw not in self._application_policies:
            message = parse_into(policies.ApplicationPolicy(), raw, "ApplicationPolicy")
            self._application_policies[raw] = (
                compile_signature_policy(message.signature_policy)
                if message.WhichOneof("Type") == "signature_policy"
                else self.policy(message.channel_config_policy_reference)
            )
        return self._application_policies[raw]

    def capabilities(self, *groups: str) -> frozenset[str]:
        """Capabilities of the channel, or of the group below it, for example ``Application``."""
        group = self.group
        for name in groups:
            group = group.groups[name] if name in group.groups else configtx.ConfigGroup()
        return _read_capabilities(group)

    def _read_policy(self, path: str, depth: int) -> Policy | None:
        if depth > MAX_POLICY_DEPTH:
            raise Invalid("policies are nested too deep", reason="bad-policy", place=path)
        *names, name = path.strip("/").split("/")
        group = find_group(self.group, names)
        if group is None or name not in group.policies:
            return None
        message = group.policies[name].policy
        kinds = policies.Policy.PolicyType
        if message.type == kinds.Value("SIGNATURE"):
            return parse_signature_policy(message.value)
        if message.type != kinds.Value("IMPLICIT_META"):
            raise Invalid("policy is of an unknown kind", reason="bad-policy", place=path)
        meta = parse_into(policies.ImplicitMetaPolicy(), message.value, "ImplicitMetaPolicy")
        below = tuple(
            self._read_below("/".join(["", *names, child, meta.sub_policy]), depth + 1)
            for child in sorted(group.groups)
        )
        return ImplicitMetaPolicy(below, implicit_meta_threshold(meta.rule, len(below)))

    def _read_below(self, path: str, depth: int) -> Policy | None:
        """One that cannot be read counts as not fulfilled: a member writes its own alone, and must not end the rest."""
        try:
            return self._read_policy(path, depth)
        except Invalid:
            return None


def find_group(root: Any, path: list[str]) -> Any | None:
    """The configuration group at ``["Channel", …]``, or ``None``."""
    if not path or path[0] != ROOT:
        return None
    group = root
    for name in path[1:]:
        if name not in group.groups:
            return None
        group = group.groups[name]
    return group


def parse_config_envelope(envelope: Envelope) -> Any:
    """``common.ConfigEnvelope`` of a CONFIG transaction: the new configuration and the update that led to it.

    Raises:
        Invalid: not that message.
    """
    return parse_into(configtx.ConfigEnvelope(), envelope.data, "ConfigEnvelope")


def read_channel_config(config: Any) -> ChannelConfig:
    """Reads ``common.Config``.

    Raises:
        Invalid: a part that every channel must have is missing or malformed; the hash algorithm is not SHA-256.
    """
    group = config.channel_group
    _check_hashing(group)
    if APPLICATION not in group.groups or ORDERER not in group.groups:
        raise Invalid("channel needs Application and Orderer groups", reason="bad-config", place=ROOT)
    msps: dict[str, Msp] = {}
    takes_ed25519 = "V3_0" in _read_capabilities(group)
    application = _read_organizations(group.groups[APPLICATION], msps, takes_ed25519)
    orderer = _read_organizations(group.groups[ORDERER], msps, takes_ed25519)
    consensus = parse_into(
        orderer_configuration.ConsensusType(), _value(group.groups[ORDERER], "ConsensusType"), "ConsensusType"
    )
    return ChannelConfig(
        sequence=config.sequence,
        group=group,
        msps=msps,
        application_organizations=application,
        orderer_organizations=orderer,
        consensus_type=consensus.type,
        consenters=_read_consenters(group.groups[ORDERER]),
    )


def _check_hashing(group: Any) -> None:
    hashing = parse_into(configuration.HashingAlgorithm(), _value(group, "HashingAlgorithm"), "HashingAlgorithm")
    structure = parse_into(
        configuration.BlockDataHashingStructure(),
        _value(group, "BlockDataHashingStructure"),
        "BlockDataHashingStructure",
    )
    if hashing.name != "SHA256" or structure.width != 2**32 - 1:
        raise Invalid("channel does not hash blocks flat with SHA-256", reason="bad-config", place=ROOT)


def _read_capabilities(group: Any) -> frozenset[str]:
    if "Capabilities" not in group.values:
        return frozenset()
    return frozenset(
        parse_into(configuration.Capabilities(), group.values["Capabilities"].value, "Capabilities").capabilities
    )


def _value(group: Any, name: str) -> bytes:
    if name not in group.values:
        raise Invalid(f"configuration has no {name}", reason="bad-config", place=name)
    raw: bytes = group.values[name].value
    return raw


def _read_organizations(group: Any, msps: dict[str, Msp], takes_ed25519: bool) -> dict[str, str]:
    organizations = {}
    for name in sorted(group.groups):
        msp = parse_msp(_value(group.groups[name], "MSP"), takes_ed25519=takes_ed25519)
        organizations[name] = msp.msp_id
        msps.setdefault(msp.msp_id, msp)
    return organizations


def _read_consenters(group: Any) -> dict[int, Consenter]:
    if "Orderers" not in group.values:
        return {}
    message = parse_into(configuration.Orderers(), group.values["Orderers"].value, "Orderers")
    consenters = {}
    for item in message.consenter_mapping:
        identity = serialize_identity(item.msp_id, parse_certificate(item.identity))
        consenters[item.id] = Consenter(item.id, item.msp_id, identity)
    if len(consenters) != len(message.consenter_mapping):
        raise Invalid("two consenters have one id", reason="bad-config", place="Orderers")
    return consenters
