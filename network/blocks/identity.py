"""Identities: a serialized MSP id and certificate, and what the certificate says about its holder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from domain import jcs
from domain.errors import Invalid
from network.blocks.certificate import Certificate, read_certificate
from network.blocks.pem import read_block
from network.blocks.protos import identities, parse_into, serialize
from network.blocks.signature import PublicKey

ATTRIBUTES_OID = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")
_ATTRIBUTES = bytes.fromhex("2a03040506070801")
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_REMEMBERED_BYTES = 4 * 1024
MAX_REMEMBERED = 1024
"""Together less than 32 MiB: an identity that was read takes some five times its bytes."""
_MAX_ATTRIBUTES_DEPTH = 4
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate that is none; some of it is specific to one field of one standard."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate that claims to belong to an MSP; whether it does is for ``Msp.verify_identity``."""

    msp_id: str
    certificate: Certificate
    public_key: PublicKey

    @property
    def der(self) -> bytes:
        return self.certificate.raw

    @property
    def organizational_units(self) -> tuple[str, ...]:
        return self.certificate.subject.units

    @property
    def common_name(self) -> str:
        return self.certificate.subject.common_name

    def attributes(self) -> dict[str, str]:
        """The attributes that a Fabric CA put into extension 1.2.3.4.5.6.7.8.1: JSON {"attrs": {name: value}}.

        Raises:
            Invalid: the extension is there but not such JSON.
        """
        raw = self.certificate.extensions.values.get(_ATTRIBUTES)
        return {} if raw is None else _parse_attributes(raw)


def serialize_identity(msp_id: str, certificate: x509.Certificate) -> bytes:
    """``msp.SerializedIdentity`` with the certificate in PEM, as creators and endorsers appear in blocks."""
    message = identities.SerializedIdentity()
    message.mspid = msp_id
    message.id_bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return serialize(message)


def parse_identity(raw: bytes) -> Identity:
    """Reads ``msp.SerializedIdentity``; remembered by its bytes, since a channel has few identities and many uses.

    Larger ones than authorities issue are read again each time: whose they are is not known yet, and anybody could
    fill the memory with them.

    Raises:
        Invalid: not that message, no certificate in it, or a key of a kind that Fabric does not know.
    """
    return _remembered(raw) if len(raw) <= MAX_REMEMBERED_BYTES else _parse_identity(raw)


@lru_cache(maxsize=MAX_REMEMBERED)
def _remembered(raw: bytes) -> Identity:
    return _parse_identity(raw)


def _parse_identity(raw: bytes) -> Identity:
    message = parse_into(identities.SerializedIdentity(), raw, "SerializedIdentity")
    certificate = read_pem(message.id_bytes)
    key = certificate.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise Invalid("certificate key is neither EC nor Ed25519", reason="bad-certificate")
    return Identity(message.mspid, certificate, key)


def read_pem(pem: bytes) -> Certificate:
    """Reads the certificate of others: the first PEM block, whatever its label, as Fabric does (msp/mspimpl.go).

    Raises:
        Invalid: not a certificate that peers read, or larger than any sensible one.
    """
    if len(pem) > MAX_CERTIFICATE_BYTES:
        raise Invalid("certificate is too large", reason="bad-certificate")
    return read_certificate(read_block(pem)[1])


def parse_certificate(pem: bytes) -> x509.Certificate:
    """Reads one PEM certificate of our own files; for those that others present there is :func:`read_pem`.

    Raises:
        Invalid: not a certificate, or larger than any sensible one.
    """
    if len(pem) > MAX_CERTIFICATE_BYTES:
        raise Invalid("certificate is too large", reason="bad-certificate")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        _read_lazy_parts(certificate)
    except _UNREADABLE as error:
        raise Invalid("bytes are not a PEM certificate", reason="bad-certificate") from error
    return certificate


def _read_lazy_parts(certificate: x509.Certificate) -> None:
    """The library reads these on first use; a hostile certificate must fail here and nowhere later."""
    _ = certificate.subject, certificate.issuer, certificate.serial_number, certificate.extensions
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    _ = certificate.signature_algorithm_oid, certificate.public_key()


def read_attributes(certificate: x509.Certificate) -> dict[str, str]:
    """See ``Identity.attributes``; an absent extension gives no attributes."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ATTRIBUTES_OID)
    except x509.ExtensionNotFound:
        return {}
    except ValueError as error:
        raise Invalid("certificate extensions cannot be read", reason="bad-certificate") from error
    value = extension.value
    if not isinstance(value, x509.UnrecognizedExtension):
        raise Invalid("attribute extension has an unexpected type", reason="bad-attributes")
    return _parse_attributes(value.value)


def attributes_extension(attributes: dict[str, str]) -> x509.UnrecognizedExtension:
    """Builds the extension that ``read_attributes`` reads; not critical."""
    text = json.dumps({"attrs": attributes}, sort_keys=True, separators=(",", ":"))
    return x509.UnrecognizedExtension(ATTRIBUTES_OID, text.encode())


def _parse_attributes(raw: bytes) -> dict[str, str]:
    try:
        extension = jcs.load(raw, max_bytes=MAX_CERTIFICATE_BYTES, max_depth=_MAX_ATTRIBUTES_DEPTH)
    except Invalid as error:
        raise Invalid("attribute extension is not JSON that can be read", reason="bad-attributes") from error
    attributes = extension.get("attrs") if isinstance(extension, dict) else None
    if not isinstance(attributes, dict):
        raise Invalid('attribute extension is not {"attrs": …}', reason="bad-attributes")
    texts = {name: value for name, value in attributes.items() if isinstance(value, str)}
    if len(texts) != len(attributes):
        raise Invalid("attributes are not a map of texts", reason="bad-attributes")
    return texts
