"""X.509 material as Fabric's membership service expects it: a root authority and identities with NodeOUs (RFC 5280)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import Invalid, Unavailable
from network.blocks.identity import attributes_extension, parse_certificate, serialize_identity
from network.blocks.signature import EcdsaSigner
from network.embedded.layout import write_file

VALIDITY = timedelta(days=3650)
BACKDATED = timedelta(minutes=5)
_NO_USE = dict.fromkeys(
    (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ),
    False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def signer(self, msp_id: str) -> EcdsaSigner:
        """Signs as this identity of the organisation."""
        return EcdsaSigner(serialize_identity(msp_id, self.certificate), self.key)

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def save(self, folder: Path) -> None:
        """Writes ``cert.pem`` and ``key.pem`` (PKCS#8, unencrypted, mode 0600)."""
        write_file(folder / "cert.pem", self.certificate_pem())
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_file(folder / "key.pem", pem)


def load_key_pair(folder: Path) -> KeyPair:
    """Reads what :meth:`KeyPair.save` wrote.

    Raises:
        Invalid: the files are not a certificate and its P-256 key.
        Unavailable: they are not there or not readable.
    """
    try:
        certificate = parse_certificate((folder / "cert.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
    except OSError as error:
        raise Unavailable("key material cannot be read", reason="no-key-material", place=folder.name) from error
    except (ValueError, TypeError) as error:
        raise Invalid("this is not an unencrypted private key", reason="bad-key", place=folder.name) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise Invalid("certificate and key do not belong together", reason="bad-key", place=folder.name)
    return KeyPair(certificate, key)


def create_authority(organisation: str, now: datetime) -> KeyPair:
    """A self-signed root authority of an organisation."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(organisation, f"ca.{organisation}", ())
    use = x509.KeyUsage(**{**_NO_USE, "digital_signature": True, "key_cert_sign": True, "crl_sign": True})
    builder = (
        _certificate(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(use, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: KeyPair, common_name: str, unit: str, now: datetime, attributes: dict[str, str] | None = None
) -> KeyPair:
    """An identity below an authority; ``unit`` is its NodeOU, ``attributes`` go where a Fabric CA puts them."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    organisation = str(issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _certificate(_name(organisation, common_name, (unit,)), issuer, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USE, "digital_signature": True}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_id, critical=False)
    )
    if attributes:
        builder = builder.add_extension(attributes_extension(attributes), critical=False)
    return KeyPair(builder.sign(authority.key, hashes.SHA256()), key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
    )


def _name(organisation: str, common_name: str, units: tuple[str, ...]) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
