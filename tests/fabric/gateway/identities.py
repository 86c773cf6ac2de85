"""Users of the scenarios: their certificates, and keys in a file or in a token."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from network.fabric.connection import Connection
from network.fabric.gateway import Identity, Signer, private_key_signer
from network.topology.native import NativeNetwork


def user_of(network: NativeNetwork, msp: str) -> tuple[Identity, Signer]:
    """The user that the network was made with."""
    told = Connection.read(network.connection_file(msp))
    return Identity(msp, told.certificate.read_bytes()), private_key_signer(told.key.read_bytes())


def enrol(network: NativeNetwork, msp: str, key: ec.EllipticCurvePublicKey) -> Identity:
    """A new user of the organisation: its authority certifies the key for the unit ``client``."""
    folder = network.layout.peer_organization(network.topology.organization(msp)) / "ca"
    issuer = x509.load_pem_x509_certificate(next(folder.glob("*.pem")).read_bytes())
    begin = issuer.not_valid_before_utc
    names = [
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
        x509.NameAttribute(NameOID.COMMON_NAME, "token"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(_authority_key(folder), hashes.SHA256())
    )
    return Identity.of(msp, certificate)


def _authority_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(next(folder.glob("*_sk")).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
