"""Lists of revoked certificates in an MSP, read as Fabric does (msp/mspimplsetup.go, mspimplvalidate.go).

Go reads these lists with ``encoding/asn1``: versions, extensions and entries of any kind, and elements behind those
that it knows. A member writes its list alone, so one that peers take must be taken here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from domain.errors import Denied, Invalid
from network.blocks import der
from network.blocks.certificate import Certificate
from network.blocks.certification import is_signed
from network.blocks.der import Reader
from network.blocks.pem import read_block
from network.blocks.signature import read_integers

_LABEL: Final = b"X509 CRL"
_BEGIN: Final = b"-----BEGIN X509 CRL"
_AUTHORITY_KEY: Final = bytes.fromhex("551d23")
_ECDSA: Final = frozenset(
    map(bytes.fromhex, ("2a8648ce3d0401", "2a8648ce3d040302", "2a8648ce3d040303", "2a8648ce3d040304"))
)
_TIMES: Final = (der.UTC_TIME, der.GENERALIZED_TIME)


@dataclass(frozen=True, slots=True)
class Revocations:
    """A list that was read; who signed it shows when it is asked.

    Attributes:
        serials: numbers of the certificates that are revoked.
        authority: key identifier of who signed the list; None where it cannot be told.
    """

    serials: frozenset[int] = field(repr=False)
    authority: bytes | None
    signed: bytes = field(repr=False)
    algorithm: bytes
    parameters: bytes
    signature: bytes = field(repr=False)

    def check(self, certificate: Certificate, issuer: Certificate) -> None:
        """Raises:
        Denied: the issuer revoked the certificate, or the list does not say whose it is: then peers trust nobody.
        """
        if self.authority is None:
            raise Denied("a revocation list names no authority", reason="revocation-list")
        if self.authority != issuer.extensions.key_identifier or certificate.serial not in self.serials:
            return
        if is_signed(issuer.public_key, self.algorithm, self.parameters, self.signature, self.signed, takes_sha1=True):
            raise Denied("certificate is revoked", reason="revoked")


def read_revocations(raw: bytes) -> Revocations:
    """Reads a list in PEM, which must begin with it, or in DER.

    Raises:
        Invalid: neither; then no channel has such an MSP.
    """
    if raw.startswith(_BEGIN):
        label, content = read_block(raw)
        raw = content if label == _LABEL else raw
    try:
        return _read(raw)
    except (Invalid, ValueError, IndexError) as error:
        raise Invalid("revocation list cannot be read", reason="bad-msp", place="revocation_list") from error


def _read(raw: bytes) -> Revocations:
    outer = Reader(raw)
    content = outer.inner(der.SEQUENCE)
    if not outer.is_empty:
        raise ValueError("bytes behind a list")
    _, inside, signed = content.element(der.SEQUENCE)
    algorithm = content.inner(der.SEQUENCE)
    kind = algorithm.oid()
    parameters = b"" if algorithm.is_empty else algorithm.element()[2]
    signature = content.aligned_bits()
    if kind in _ECDSA:
        signature = encode_dss_signature(*read_integers(signature))
    serials, authority = _read_entries(Reader(inside))
    return Revocations(serials, authority, signed, kind, parameters, signature)


def _read_entries(body: Reader) -> tuple[frozenset[int], bytes | None]:
    body.optional(der.INTEGER)
    body.read(der.SEQUENCE)
    body.read(der.SEQUENCE)
    body.element()
    if any(map(body.peek, _TIMES)):
        body.element()
    entries = Reader(body.optional(der.SEQUENCE) or b"")
    serials = set()
    while not entries.is_empty:
        serials.add(entries.inner(der.SEQUENCE).integer())
    return frozenset(serials), _authority(body)


def _authority(body: Reader) -> bytes | None:
    if not body.peek(0xA0):
        return None
    body.enter(0xA0)
    extensions = body.inner(der.SEQUENCE)
    while not extensions.is_empty:
        item = extensions.inner(der.SEQUENCE)
        kind = item.oid()
        item.optional(der.BOOLEAN)
        value = item.read(der.OCTET_STRING)
        if kind == _AUTHORITY_KEY:
            return _key_identifier(value)
    return None


def _key_identifier(raw: bytes) -> bytes | None:
    """As in Fabric's structure, where a constructed serial number is of a type that Go cannot read."""
    try:
        identifier = Reader(raw).inner(der.SEQUENCE)
        found = identifier.optional(0x80) or b""
        identifier.optional(0x81)
        return None if identifier.peek(0xA2) else found
    except Invalid:
        return None
