"""A peer and a gateway to it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from network.fabric.gateway import (
    Contract,
    Deadlines,
    Gateway,
    Identity,
    Network,
    Signer,
    connect,
    plain_channel,
    private_key_signer,
)
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, Authority, new_root
from tests.unit.network.fabric.gateway.scripted_peer import GIVE_UP_S, ScriptedPeer, serving

DEADLINES = Deadlines(evaluate_s=GIVE_UP_S, endorse_s=GIVE_UP_S, submit_s=GIVE_UP_S, commit_status_s=GIVE_UP_S)


@pytest.fixture(scope="session")
def holder() -> Authority:
    """The certificate and key of the user."""
    return new_root("ca.RenheMSP").issue("user", "client")


@pytest.fixture(scope="session")
def identity(holder: Authority) -> Identity:
    return Identity.of("RenheMSP", holder.certificate)


@pytest.fixture(scope="session")
def signer(holder: Authority) -> Signer:
    return private_key_signer(holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with serving(ScriptedPeer()) as peer:
        yield peer


@pytest.fixture
def channel(peer: ScriptedPeer) -> Iterator[grpc.Channel]:
    with plain_channel(peer.address) as channel:
        yield channel


@pytest.fixture
def gateway(channel: grpc.Channel, identity: Identity, signer: Signer) -> Iterator[Gateway]:
    with connect(channel, identity, signer, deadlines=DEADLINES) as gateway:
        yield gateway


@pytest.fixture
def offline(channel: grpc.Channel, identity: Identity) -> Iterator[Gateway]:
    """A gateway without a signer."""
    with connect(channel, identity, deadlines=DEADLINES) as gateway:
        yield gateway


@pytest.fixture
def network(gateway: Gateway) -> Network:
    return gateway.get_network(CHANNEL)


@pytest.fixture
def contract(network: Network) -> Contract:
    return network.get_contract(CHAINCODE)
