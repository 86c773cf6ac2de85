"""What a change of the members is in the channel's configuration; each returns a function that changes it in place.

The parts come from the configuration that the new description would found a channel with, so there is one place that
says how an organisation looks in a channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from network.blocks.channel_config import APPLICATION, ORDERER
from network.blocks.protos import (
    configuration,
    etcdraft,
    identities,
    msp_principal,
    orderer_configuration,
    parse_into,
    policies,
    serialize,
)
from network.topology.config_updates import Change
from network.topology.description import Organization
from network.topology.layout import NodeFiles, disk_errors

_ENDORSEMENT = "Endorsement"
_BLOCK_VALIDATION = "BlockValidation"
_ORDERERS = "Orderers"
_CONSENSUS = "ConsensusType"


def with_member(target: Any, organization: Organization) -> Change:
    """The organisation may read, write, endorse, and run an ordering node that follows."""

    def change(group: Any) -> None:
        _copy_group(target, group, APPLICATION, organization.msp)
        _copy_group(target, group, ORDERER, organization.orderer_msp)
        _copy_policy(target, group, APPLICATION, _ENDORSEMENT)

    return change


def without_member(target: Any, organization: Organization) -> Change:
    """The organisation may nothing any more."""

    def change(group: Any) -> None:
        group.groups[APPLICATION].groups.pop(organization.msp, None)
        group.groups[ORDERER].groups.pop(organization.orderer_msp, None)
        _copy_policy(target, group, APPLICATION, _ENDORSEMENT)

    return change


def with_consenters(target: Any) -> Change:
    """Those order blocks who do so in the target; Fabric takes one newcomer or one who leaves at a time."""

    def change(group: Any) -> None:
        wanted: list[Any] = []
        _change_consenters(target.groups[ORDERER], wanted.extend)
        _change_consenters(group.groups[ORDERER], lambda present: _merge(present, wanted))

    return change


def with_certificates(place: tuple[str, int], files: NodeFiles) -> Change:
    """The ordering node at this host and port has these certificates.

    Raises:
        Unavailable: they cannot be read.
    """
    with disk_errors(files.folder):
        tls, identity = files.tls_certificate.read_bytes(), files.certificate.read_bytes()

    def renew(consenters: Any) -> None:
        for consenter in consenters:
            if (consenter.host, consenter.port) == place:
                consenter.client_tls_cert = consenter.server_tls_cert = tls
                if "identity" in consenter.DESCRIPTOR.fields_by_name:
                    consenter.identity = identity

    return lambda group: _change_consenters(group.groups[ORDERER], renew)


def _change_consenters(orderer: Any, change: Callable[[Any], None]) -> None:
    """Change the list of consenters where this kind of ordering keeps it."""
    if _ORDERERS in orderer.values:
        orderers = parse_into(configuration.Orderers(), orderer.values[_ORDERERS].value, _ORDERERS)
        change(orderers.consenter_mapping)
        orderer.values[_ORDERERS].value = serialize(orderers)
        validation = _bft_validation(orderers.consenter_mapping)
        orderer.policies[_BLOCK_VALIDATION].policy.value = serialize(validation)
        return
    consensus = parse_into(orderer_configuration.ConsensusType(), orderer.values[_CONSENSUS].value, _CONSENSUS)
    metadata = parse_into(etcdraft.ConfigMetadata(), consensus.metadata, "ConfigMetadata")
    change(metadata.consenters)
    consensus.metadata = serialize(metadata)
    orderer.values[_CONSENSUS].value = serialize(consensus)


def _bft_validation(consenters: Any) -> Any:
    """``SignaturePolicyEnvelope``: a block needs the signatures of so many consenters that any two such groups share
    an honest one (Fabric ``common/policies/bft.go``, which demands exactly this policy)."""
    total = len(consenters)
    envelope = policies.SignaturePolicyEnvelope()
    envelope.rule.n_out_of.n = (total + (total - 1) // 3 + 2) // 2
    for index, consenter in enumerate(consenters):
        envelope.rule.n_out_of.rules.add().signed_by = index
        identity = identities.SerializedIdentity(mspid=consenter.msp_id, id_bytes=consenter.identity)
        envelope.identities.add(
            principal_classification=msp_principal.MSPPrincipal.Classification.Value("IDENTITY"),
            principal=serialize(identity),
        )
    return envelope


def _merge(present: Any, target: list[Any]) -> None:
    """Keep who stays, in place and unchanged, drop who left, append who is new: of BFT under an id of its own."""
    wanted = {(item.host, item.port): item for item in target}
    kept = {(item.host, item.port): item for item in present if (item.host, item.port) in wanted}
    unused = max((getattr(item, "id", 0) for item in present), default=0)
    for place, item in wanted.items():
        if place not in kept:
            unused += 1
            if hasattr(item, "id"):
                item.id = unused
            kept[place] = item
    merged = [type(item).FromString(serialize(item)) for item in kept.values()]
    del present[:]
    present.extend(merged)


def _copy_group(target: Any, group: Any, section: str, name: str) -> None:
    if name not in group.groups[section].groups:
        group.groups[section].groups[name].CopyFrom(target.groups[section].groups[name])


def _copy_policy(target: Any, group: Any, section: str, name: str) -> None:
    group.groups[section].policies[name].policy.CopyFrom(target.groups[section].policies[name].policy)
