"""Chaincode definitions: what is committed is read again, with Fabric's keys."""

from __future__ import annotations

import pytest

from domain.errors import Invalid
from network.blocks.lifecycle import (
    NAMESPACE,
    ChaincodeDefinition,
    commit_definition,
    peers_policy,
    read_definition,
    reference_policy,
    sequence_key,
)
from network.blocks.rwset import Version
from network.verifier.world_state import WorldState

DEFINITION = ChaincodeDefinition("yilian", 3, "1.2", peers_policy(1, ["HospMSP"]))


def test_a_committed_definition_is_read_again() -> None:
    args, rwset = commit_definition(DEFINITION, Version(1, 0))
    assert args[0] == b"CommitChaincodeDefinition"
    assert (rwset.namespace, rwset.reads[0].key, rwset.reads[0].version) == (
        NAMESPACE,
        sequence_key("yilian"),
        Version(1, 0),
    )
    state = WorldState()
    state.apply((rwset,), Version(2, 0))
    assert read_definition(lambda key: state.get(NAMESPACE, key), "yilian") == DEFINITION
    assert read_definition(lambda key: state.get(NAMESPACE, key), "other") is None


def test_keys_are_fabrics() -> None:
    _, rwset = commit_definition(DEFINITION, None)
    fields = [f"namespaces/fields/yilian/{name}" for name in ("Collections", "EndorsementInfo", "Sequence")]
    assert [write.key for write in rwset.writes] == [
        *fields,
        "namespaces/fields/yilian/ValidationInfo",
        "namespaces/metadata/yilian",
    ]


def test_a_malformed_definition_is_refused() -> None:
    with pytest.raises(Invalid):
        read_definition(lambda _: b"\xff", "yilian")


def test_a_policy_by_reference_names_it() -> None:
    assert reference_policy("/Channel/Application/Endorsement").endswith(b"/Channel/Application/Endorsement")
