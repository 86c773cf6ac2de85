"""Peers and contract know each other by certificate, and renewed files count without a restart."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.service.runner import TransactionRunner
from chaincode.service.server import ContractService
from chaincode.service.tls import TlsFiles, server_credentials
from chaincode.stub import Response, Stub
from domain.errors import Invalid, Unavailable
from network.embedded.material import KeyPair, create_authority
from tests.unit.chaincode.service.conftest import Running, StandingClock
from tests.unit.chaincode.service.peer import CONTRACT, PACKAGE_ID, RawPeer, proposal, transaction

NOW = datetime.now(UTC)


def tls_pair(authority: KeyPair, name: str, at: datetime = NOW) -> KeyPair:
    """A certificate for 127.0.0.1, fit for either side, for the day after ``at``."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=5))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return KeyPair(certificate, key)


def key_pem(pair: KeyPair) -> bytes:
    return pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True, slots=True)
class Side:
    """An authority and a pair below it."""

    authority: KeyPair
    pair: KeyPair

    @classmethod
    def make(cls, name: str, at: datetime = NOW) -> Side:
        authority = create_authority(name, NOW)
        return cls(authority, tls_pair(authority, name, at))

    def write(self, folder: Path, client_roots: bytes | None) -> TlsFiles:
        files = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "roots.pem" if client_roots else None)
        files.key.write_bytes(key_pem(self.pair))
        files.certificate.write_bytes(self.pair.certificate_pem())
        if files.client_roots is not None:
            files.client_roots.write_bytes(client_roots or b"")
        return files

    def credentials(self, trusts: Side) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            trusts.authority.certificate_pem(), key_pem(self.pair), self.pair.certificate_pem()
        )


def echo(_stub: Stub, _name: str, arguments: bytes) -> Response:
    return Response(200, payload=arguments)


def served(files: TlsFiles) -> Running:
    runner = TransactionRunner(
        lambda _stub, _name, arguments: Response(200, payload=arguments), CONTRACT, StandingClock()
    )
    return Running(ContractService(PACKAGE_ID, runner, credentials=server_credentials(files)))


def answers(running: Running, credentials: grpc.ChannelCredentials | None) -> bool:
    with RawPeer(running.address, credentials) as peer:
        try:
            peer.register()
        except grpc.RpcError:
            return peer.ended_with() != grpc.StatusCode.UNAVAILABLE
        peer.send(transaction(proposal("Echo", b"k")))
        return b"k" in peer.receive().payload


@pytest.fixture(scope="module")
def contract() -> Side:
    return Side.make("contract")


@pytest.fixture(scope="module")
def peer() -> Side:
    return Side.make("peer")


def test_mutual_tls_takes_peers_of_the_named_authority_only(tmp_path: Path, contract: Side, peer: Side) -> None:
    running = served(contract.write(tmp_path, peer.authority.certificate_pem()))
    assert answers(running, peer.credentials(contract))
    assert not answers(running, Side.make("stranger").credentials(contract))
    assert not answers(running, grpc.ssl_channel_credentials(contract.authority.certificate_pem()))
    assert not answers(running, None)
    running.service.stop(1)


def test_without_roots_any_client_is_taken_over_tls(tmp_path: Path, contract: Side) -> None:
    running = served(contract.write(tmp_path, None))
    assert answers(running, grpc.ssl_channel_credentials(contract.authority.certificate_pem()))
    running.service.stop(1)


def test_renewed_files_count_from_the_next_connection_on(tmp_path: Path, contract: Side, peer: Side) -> None:
    running = served(contract.write(tmp_path, peer.authority.certificate_pem()))
    assert answers(running, peer.credentials(contract))
    renewed, renewed_peer = Side.make("renewed"), Side.make("renewed-peer")
    renewed.write(tmp_path, renewed_peer.authority.certificate_pem())
    assert not answers(running, peer.credentials(contract))
    assert answers(running, renewed_peer.credentials(renewed))
    running.service.stop(1)


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem", "roots.pem"])
def test_files_that_do_not_fit_together_leave_the_former_in_use(
    tmp_path: Path, contract: Side, peer: Side, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    running = served(contract.write(tmp_path, peer.authority.certificate_pem()))
    (tmp_path / damage).write_bytes(b"half a file")
    with caplog.at_level(logging.INFO):
        assert answers(running, peer.credentials(contract))
    assert "those before stay in use: bad-tls-file" in caplog.text
    running.service.stop(1)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, contract: Side, peer: Side) -> None:
    files = contract.write(tmp_path, None)
    files.key.write_bytes(key_pem(peer.pair))
    with pytest.raises(Invalid):
        server_credentials(files)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refusal:
        server_credentials(TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem"))
    assert refusal.value.place == "cert.pem"
