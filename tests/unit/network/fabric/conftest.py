"""Three peers that answer as a test wants, and the hospital's identity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from network.fabric.gateway import Identity, Signer, connect, plain_channel, private_key_signer
from network.fabric.peers import Peer
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, new_root
from tests.unit.network.fabric.gateway.scripted_peer import ScriptedPeer, serving

HOSPITALS = ("RenheMSP", "MingdeMSP", "AnkangMSP")


@pytest.fixture(scope="session")
def node() -> tuple[Identity, Signer]:
    """The node's identity and its signer."""
    holder = new_root("ca.RenheMSP").issue("node", "client")
    pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity.of(HOSPITALS[0], holder.certificate), private_key_signer(pem)


@pytest.fixture
def scripted() -> Iterator[list[ScriptedPeer]]:
    """The hospitals' peers, the own one first."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(ScriptedPeer())) for _ in HOSPITALS]


@pytest.fixture
def peers(scripted: list[ScriptedPeer], node: tuple[Identity, Signer]) -> Iterator[list[Peer]]:
    """The same as the node uses them."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(_open(msp, peer, *node))) for msp, peer in zip(HOSPITALS, scripted, strict=True)
        ]


def _open(msp: str, peer: ScriptedPeer, identity: Identity, signer: Signer) -> Peer:
    channel = plain_channel(peer.address)
    gateway = connect(channel, identity, signer)
    network = gateway.get_network(CHANNEL)
    return Peer(msp, channel, gateway, network, network.get_contract(CHAINCODE))
