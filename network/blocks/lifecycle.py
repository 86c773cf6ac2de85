"""Chaincode definitions as the channel committed them (namespace ``_lifecycle``; Fabric core/chaincode/lifecycle)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from network.blocks.msp import Role
from network.blocks.protos import (
    chaincode_definition,
    lifecycle,
    lifecycle_db,
    msp_principal,
    parse_into,
    policies,
    serialize,
)
from network.blocks.rwset import NamespaceRwset, Read, Version, Write

NAMESPACE = "_lifecycle"
DEFAULT_ENDORSEMENT = "/Channel/Application/Endorsement"
LIFECYCLE_ENDORSEMENT = "/Channel/Application/LifecycleEndorsement"
_FIELDS = ("Sequence", "EndorsementInfo", "ValidationInfo", "Collections")


@dataclass(frozen=True, slots=True)
class ChaincodeDefinition:
    """What the organisations agreed on for one chaincode.

    ``validation_parameter`` is a serialized ``ApplicationPolicy``; the contract of sequence n may differ from n − 1.
    """

    name: str
    sequence: int
    version: str
    validation_parameter: bytes
    collections: bytes = b""
    endorsement_plugin: str = "escc"
    validation_plugin: str = "vscc"


def sequence_key(chaincode: str) -> str:
    """The key that every invocation reads in Fabric, so that an upgrade invalidates transactions in flight."""
    return _field(chaincode, "Sequence")


def read_definition(get: Callable[[str], bytes | None], chaincode: str) -> ChaincodeDefinition | None:
    """Reads the committed definition; ``get`` reads a key of namespace ``_lifecycle``.

    Raises:
        Invalid: a definition is there but malformed.
    """
    raw = {name: get(_field(chaincode, name)) for name in _FIELDS}
    if raw["Sequence"] is None:
        return None
    values = {name: parse_into(lifecycle_db.StateData(), value or b"", name) for name, value in raw.items()}
    endorsement = parse_into(
        chaincode_definition.ChaincodeEndorsementInfo(), values["EndorsementInfo"].Bytes, "ChaincodeEndorsementInfo"
    )
    validation = parse_into(
        chaincode_definition.ChaincodeValidationInfo(), values["ValidationInfo"].Bytes, "ChaincodeValidationInfo"
    )
    return ChaincodeDefinition(
        name=chaincode,
        sequence=values["Sequence"].Int64,
        version=endorsement.version,
        validation_parameter=validation.validation_parameter,
        collections=values["Collections"].Bytes,
        endorsement_plugin=endorsement.endorsement_plugin,
        validation_plugin=validation.validation_plugin,
    )


def commit_definition(
    definition: ChaincodeDefinition, previous: Version | None
) -> tuple[tuple[bytes, ...], NamespaceRwset]:
    """Arguments and read-write set of ``CommitChaincodeDefinition``.

    ``previous`` is the version of ``sequence_key`` now, ``None`` for the first definition.
    """
    args = lifecycle.CommitChaincodeDefinitionArgs(
        name=definition.name,
        version=definition.version,
        sequence=definition.sequence,
        endorsement_plugin=definition.endorsement_plugin,
        validation_plugin=definition.validation_plugin,
        validation_parameter=definition.validation_parameter,
    )
    rwset = NamespaceRwset(
        NAMESPACE,
        reads=(Read(sequence_key(definition.name), previous),),
        writes=tuple(sorted(_writes(definition), key=lambda write: write.key)),
    )
    return (b"CommitChaincodeDefinition", serialize(args)), rwset


def peers_policy(required: int, msp_ids: Sequence[str], role: Role = Role.PEER) -> bytes:
    """``ApplicationPolicy``: signatures of ``required`` of these organisations, each by a member in ``role``."""
    return serialize(policies.ApplicationPolicy(signature_policy=n_out_of(required, msp_ids, role)))


def reference_policy(path: str = DEFAULT_ENDORSEMENT) -> bytes:
    """``ApplicationPolicy`` that names a policy of the channel configuration."""
    return serialize(policies.ApplicationPolicy(channel_config_policy_reference=path))


def n_out_of(required: int, msp_ids: Sequence[str], role: Role) -> Any:
    """``SignaturePolicyEnvelope``: ``required`` of these organisations.

    Raises:
        Invalid: a number that can never be reached, or none.
    """
    if not 1 <= required <= len(msp_ids):
        raise Invalid("policy asks for more organisations than there are", reason="bad-policy", place="required")
    envelope = policies.SignaturePolicyEnvelope()
    envelope.rule.n_out_of.n = required
    for index, msp_id in enumerate(msp_ids):
        envelope.rule.n_out_of.rules.add().signed_by = index
        principal = msp_principal.MSPRole(msp_identifier=msp_id, role=int(role))
        envelope.identities.add(
            principal_classification=msp_principal.MSPPrincipal.Classification.Value("ROLE"),
            principal=serialize(principal),
        )
    return envelope


def _field(chaincode: str, name: str) -> str:
    return f"namespaces/fields/{chaincode}/{name}"


def _writes(definition: ChaincodeDefinition) -> list[Write]:
    endorsement = chaincode_definition.ChaincodeEndorsementInfo(
        version=definition.version, endorsement_plugin=definition.endorsement_plugin
    )
    validation = chaincode_definition.ChaincodeValidationInfo(
        validation_plugin=definition.validation_plugin, validation_parameter=definition.validation_parameter
    )
    values = {
        "Sequence": lifecycle_db.StateData(Int64=definition.sequence),
        "EndorsementInfo": lifecycle_db.StateData(Bytes=serialize(endorsement)),
        "ValidationInfo": lifecycle_db.StateData(Bytes=serialize(validation)),
        "Collections": lifecycle_db.StateData(Bytes=definition.collections),
    }
    metadata = lifecycle_db.StateMetadata(datatype="ChaincodeDefinition", fields=_FIELDS)
    writes = [Write(_field(definition.name, name), serialize(value)) for name, value in values.items()]
    return [*writes, Write(f"namespaces/metadata/{definition.name}", serialize(metadata))]
