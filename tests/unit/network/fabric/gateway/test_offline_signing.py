"""Signing elsewhere: every message gives its bytes and digest, and is made whole again with a signature."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.fabric.gateway import (
    Contract,
    Gateway,
    GatewayError,
    Identity,
    MalformedError,
    Network,
    Signer,
    SigningError,
    connect,
    plain_channel,
)
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.conftest import DEADLINES
from tests.unit.network.fabric.gateway.scripted_peer import ScriptedPeer, block_answer, break_after, seek_of, serving


def test_nothing_is_sent_without_a_signature(offline: Gateway, peer: ScriptedPeer) -> None:
    network = offline.get_network(CHANNEL)
    contract = network.get_contract(CHAINCODE)
    for call in (
        lambda: contract.evaluate_transaction("Read"),
        lambda: contract.submit_transaction("Put"),
        lambda: network.get_commit("0" * 64).status(),
        lambda: network.chaincode_events(CHAINCODE),
        network.block_events,
        network.filtered_block_events,
        network.block_and_private_data_events,
    ):
        with pytest.raises(SigningError, match="no signer"):
            call()
    assert peer.requests == {}


def test_a_signer_that_returns_nothing_is_no_signature(peer: ScriptedPeer, identity: Identity) -> None:
    with plain_channel(peer.address) as channel:
        gateway = connect(channel, identity, lambda digest: b"")
        with pytest.raises(SigningError, match="returned no signature"):
            gateway.get_network(CHANNEL).get_contract(CHAINCODE).evaluate_transaction("Read")
    assert peer.requests == {}


def test_a_transaction_signed_elsewhere_at_every_stage(offline: Gateway, signer: Signer, peer: ScriptedPeer) -> None:
    unsigned = offline.get_network(CHANNEL).get_contract(CHAINCODE).new_proposal("Put", arguments=["drawer"])
    proposal = offline.new_signed_proposal(unsigned.serialize(), signer(unsigned.digest))
    assert proposal.evaluate() == b"Put|drawer"
    endorsed = proposal.endorse()
    transaction = offline.new_signed_transaction(endorsed.serialize(), signer(endorsed.digest))
    assert transaction.result == b"Put|drawer"
    pending = transaction.submit()
    commit = offline.new_signed_commit(pending.serialize(), signer(pending.digest))
    assert commit.status().successful
    ids = {message.transaction_id for message in (unsigned, proposal, endorsed, transaction, pending, commit)}
    assert ids == {peer.last("Submit").transaction_id}


def test_a_message_takes_its_signature_in_place(offline: Gateway, signer: Signer) -> None:
    proposal = offline.get_network(CHANNEL).get_contract(CHAINCODE).new_proposal("Read")
    assert not proposal.is_signed
    proposal.set_signature(signer(proposal.digest))
    assert proposal.is_signed
    assert proposal.evaluate() == b"Read"


def test_kept_bytes_are_submitted_and_asked_for_through_another_peer(
    contract: Contract, identity: Identity, signer: Signer
) -> None:
    endorsed = contract.new_proposal("Put").endorse()
    endorsed.sign()
    kept = endorsed.serialize()
    with serving(ScriptedPeer()) as other, plain_channel(other.address) as channel:
        gateway = connect(channel, identity, signer, deadlines=DEADLINES)
        for _ in range(2):
            gateway.new_transaction(kept).submit()
        first, second = other.submitted
        assert first == second
        assert gateway.new_commit(endorsed.commit.serialize()).status().successful
        status = gateway.get_network(CHANNEL).get_commit(endorsed.transaction_id).status()
        assert status.transaction_id == endorsed.transaction_id


def test_requests_for_events_signed_elsewhere(offline: Gateway, signer: Signer, peer: ScriptedPeer) -> None:
    network = offline.get_network(CHANNEL)
    pairs: list[tuple[Any, Any, str]] = [
        (network.new_block_events_request(start_block=3), offline.new_signed_block_events_request, "Deliver"),
        (
            network.new_filtered_block_events_request(start_block=3),
            offline.new_signed_filtered_block_events_request,
            "DeliverFiltered",
        ),
        (
            network.new_block_and_private_data_events_request(start_block=3),
            offline.new_signed_block_and_private_data_events_request,
            "DeliverWithPrivateData",
        ),
        (
            network.new_chaincode_events_request(CHAINCODE, start_block=3),
            offline.new_signed_chaincode_events_request,
            "ChaincodeEvents",
        ),
    ]
    for unsigned, rebuilt, method in pairs:
        peer.answers[method] = break_after()
        signed = rebuilt(unsigned.serialize(), signer(unsigned.digest))
        with signed.events() as stream, pytest.raises(GatewayError, match="going down"):
            next(stream)
        if method != "ChaincodeEvents":
            assert seek_of(peer.last(method)).start.specified.number == 3


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", b"\x0a\x01x"])
def test_bytes_that_are_no_message_are_refused(gateway: Gateway, raw: bytes) -> None:
    for rebuild in (gateway.new_proposal, gateway.new_transaction):
        with pytest.raises(MalformedError):
            rebuild(raw)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(where=st.integers(0), what=st.binary(max_size=3), cut=st.integers(0, 3))
def test_damaged_bytes_are_a_message_or_refused_and_nothing_else(
    gateway: Gateway, kept: tuple[bytes, bytes], where: int, what: bytes, cut: int
) -> None:
    for raw, rebuild in zip(kept, (gateway.new_proposal, gateway.new_transaction), strict=True):
        at = where % len(raw)
        with suppress(MalformedError):
            rebuild(raw[:at] + what + raw[at + cut :])


@pytest.fixture
def kept(contract: Contract) -> tuple[bytes, bytes]:
    """A proposal and a transaction."""
    proposal = contract.new_proposal("Put")
    return proposal.serialize(), proposal.endorse().serialize()


def test_bytes_that_are_no_request_are_refused(gateway: Gateway) -> None:
    for rebuild in (gateway.new_commit, gateway.new_chaincode_events_request, gateway.new_block_events_request):
        with pytest.raises(MalformedError):
            rebuild(b"\xff\xff")


def test_an_id_beside_the_message_that_is_not_its_own_is_refused(gateway: Gateway, contract: Contract) -> None:
    proposal = contract.new_proposal("Put")
    own, other = proposal.transaction_id.encode(), b"0" * 64
    with pytest.raises(MalformedError, match="another transaction id"):
        gateway.new_proposal(proposal.serialize().replace(own, other, 1))
    endorsed = proposal.endorse()
    with pytest.raises(MalformedError, match="another id"):
        gateway.new_transaction(endorsed.serialize().replace(own, other, 1))


def test_blocks_asked_for_offline_are_delivered(
    offline: Gateway, signer: Signer, network: Network, peer: ScriptedPeer
) -> None:
    peer.answers["Deliver"] = break_after(block_answer(3))
    request = offline.new_block_events_request(network.new_block_events_request(start_block=3).serialize())
    request.set_signature(signer(request.digest))
    with request.events() as stream:
        assert next(stream).number == 3
