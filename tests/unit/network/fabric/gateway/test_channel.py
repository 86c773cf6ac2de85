"""The channel to a peer: TLS that names it, mutual TLS, and a peer that goes away and comes back."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from network.fabric.gateway import (
    ClientCertificate,
    Contract,
    Deadlines,
    Gateway,
    GatewayError,
    Identity,
    MalformedError,
    Signer,
    connect,
    tls_channel,
)
from network.fabric.gateway.channel import LAST_BACKOFF_MS
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, Authority, new_root
from tests.unit.network.fabric.gateway.scripted_peer import GIVE_UP_S, ScriptedPeer, serving

AUTHORITY = new_root("tls.RenheMSP")
LOOPBACK = x509.SubjectAlternativeName([x509.DNSName("peer.renhe"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
ELSEWHERE = x509.SubjectAlternativeName([x509.DNSName("peer.renhe")])
WITHIN = Deadlines(evaluate_s=5.0)


def key_of(holder: Authority) -> bytes:
    return holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(name: str, *extensions: x509.ExtensionType) -> Authority:
    return AUTHORITY.issue(name, "peer", extensions=extensions)


@contextmanager
def tls_peer(names: x509.SubjectAlternativeName, *, mutual: bool = False) -> Iterator[ScriptedPeer]:
    holder = issue("peer.renhe", names)
    pairs = [(key_of(holder), holder.pem)]
    credentials = (
        grpc.ssl_server_credentials(pairs, AUTHORITY.pem, require_client_auth=True)
        if mutual
        else grpc.ssl_server_credentials(pairs)
    )
    with serving(ScriptedPeer(), credentials) as peer:
        yield peer


@contextmanager
def contract_at(channel: grpc.Channel, identity: Identity, signer: Signer) -> Iterator[Contract]:
    with channel, connect(channel, identity, signer, deadlines=WITHIN) as gateway:
        yield gateway.get_network(CHANNEL).get_contract(CHAINCODE)


def refused(channel: grpc.Channel, identity: Identity, signer: Signer) -> None:
    with contract_at(channel, identity, signer) as contract, pytest.raises(GatewayError) as caught:
        contract.evaluate_transaction("Read")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_peer_of_the_authority_answers(identity: Identity, signer: Signer) -> None:
    with (
        tls_peer(LOOPBACK) as peer,
        contract_at(tls_channel(peer.address, AUTHORITY.pem), identity, signer) as contract,
    ):
        assert contract.evaluate_transaction("Read") == b"Read"


def test_a_peer_of_another_authority_is_refused(identity: Identity, signer: Signer) -> None:
    with tls_peer(LOOPBACK) as peer:
        refused(tls_channel(peer.address, new_root("other").pem), identity, signer)
        assert peer.requests == {}


def test_a_peer_of_another_name_is_refused_unless_that_is_the_name_given(identity: Identity, signer: Signer) -> None:
    with tls_peer(ELSEWHERE) as peer:
        refused(tls_channel(peer.address, AUTHORITY.pem), identity, signer)
        named = tls_channel(peer.address, AUTHORITY.pem, server_name="peer.renhe")
        with contract_at(named, identity, signer) as contract:
            assert contract.evaluate_transaction("Read") == b"Read"


def test_mutual_tls_lets_in_whom_the_peer_knows(identity: Identity, signer: Signer) -> None:
    user, stranger = issue("user"), new_root("other").issue("user", "client")
    with tls_peer(LOOPBACK, mutual=True) as peer:
        refused(tls_channel(peer.address, AUTHORITY.pem), identity, signer)
        unknown = ClientCertificate(stranger.pem, key_of(stranger))
        refused(tls_channel(peer.address, AUTHORITY.pem, client=unknown), identity, signer)
        known = tls_channel(peer.address, AUTHORITY.pem, client=ClientCertificate(user.pem, key_of(user)))
        with contract_at(known, identity, signer) as contract:
            assert contract.evaluate_transaction("Read") == b"Read"


def test_the_hash_of_a_client_certificate_is_over_its_der() -> None:
    user = issue("user")
    certificate = ClientCertificate(user.pem, key_of(user))
    assert certificate.hash() == hashlib.sha256(user.certificate.public_bytes(Encoding.DER)).digest()
    assert "PRIVATE" not in repr(certificate)
    with pytest.raises(MalformedError):
        ClientCertificate(b"none", b"").hash()


def test_a_peer_that_is_gone_fails_at_once_and_is_found_again(
    gateway: Gateway, contract: Contract, channel: grpc.Channel, peer: ScriptedPeer
) -> None:
    assert contract.evaluate_transaction("Read") == b"Read"
    port = int(peer.address.rpartition(":")[2])
    again = ScriptedPeer()
    peer.stop()
    with pytest.raises(GatewayError) as caught:
        contract.evaluate_transaction("Read")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    with serving(again, port=port):
        grpc.channel_ready_future(channel).result(timeout=GIVE_UP_S)
        assert contract.evaluate_transaction("Read") == b"Read"
    assert LAST_BACKOFF_MS <= 1000


def test_a_peer_that_answers_slowly_is_reached(identity: Identity, signer: Signer) -> None:
    """A busy machine or a long way takes longer for the handshake than the pause between two attempts."""
    with (
        tls_peer(LOOPBACK) as peer,
        slow_relay(peer.address) as address,
        contract_at(tls_channel(address, AUTHORITY.pem), identity, signer) as contract,
    ):
        assert contract.evaluate_transaction("Read") == b"Read"


@contextmanager
def slow_relay(address: str) -> Iterator[str]:
    """Passes one connection after another on, each only after a while that is longer than any pause."""
    host, _, port = address.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = listening.accept()
                    time.sleep(1.5 * LAST_BACKOFF_MS / 1000)
                    far = socket.create_connection((host, int(port)))
                    for source, sink in ((near, far), (far, near)):
                        threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
