"""X.509 certificates as peers read them: as strictly and as leniently as Go's ``crypto/x509``, which Fabric calls.

Another reader's verdict on an odd certificate would let a member make honest witnesses contradict their peers.

What is read more strictly than there, and why nobody misses it, is listed in tests/interop/test_certificates.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from network.blocks import der
from network.blocks.der import Reader, malformed
from network.blocks.extensions import Extensions, read_extensions


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A positive modulus and exponent, which Go takes; whether a library can verify with them shows when one does."""

    modulus: int = field(repr=False)
    exponent: int


AuthorityKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | RsaKey
_CURVES: Final[dict[bytes, ec.EllipticCurve]] = {
    bytes.fromhex("2b81040021"): ec.SECP224R1(),
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("2b81040022"): ec.SECP384R1(),
    bytes.fromhex("2b81040023"): ec.SECP521R1(),
}
"""Fabric's four."""
_EC: Final = bytes.fromhex("2a8648ce3d0201")
_RSA: Final = bytes.fromhex("2a864886f70d010101")
_MAX_EXPONENT_BITS: Final = 63
"""Of Go's ``int``."""
_ED25519: Final = bytes.fromhex("2b6570")
_NULL: Final = b"\x05\x00"
_UNCOMPRESSED: Final = 0x04
_UNIT: Final = bytes.fromhex("55040b")
_COMMON_NAME: Final = bytes.fromhex("550403")
_PRINTABLE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'() +,-./:=?*&")
_NUMERIC: Final = frozenset(b"0123456789 ")
_STRINGS: Final[dict[int, tuple[str, frozenset[int]]]] = {
    der.UTF8_STRING: ("utf-8", frozenset()),
    der.NUMERIC_STRING: ("ascii", _NUMERIC),
    der.PRINTABLE_STRING: ("ascii", _PRINTABLE),
    der.T61_STRING: ("latin-1", frozenset()),
    der.IA5_STRING: ("ascii", frozenset()),
}
"""Encoding and, where it is narrower, the octets of a type of string."""


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: its bytes, by which names are compared, and what roles follow from."""

    raw: bytes
    units: tuple[str, ...]
    common_name: str


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A certificate that was read; nothing of it is verified.

    Attributes:
        raw, signed: all of it, and the part that is signed.
        version: 1 to 3.
        begins, ends: seconds since 1970, both included.
        algorithm: OBJECT IDENTIFIER of the signature; ``parameters`` what follows it.
        public_key: None for a kind of key with which nobody signs on a channel.
    """

    raw: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    version: int
    serial: int
    issuer: Name
    subject: Name
    begins: int
    ends: int
    key_info: bytes = field(repr=False)
    public_key: AuthorityKey | None = field(repr=False)
    extensions: Extensions
    algorithm: bytes
    parameters: bytes
    signature: bytes = field(repr=False)


def read_certificate(raw: bytes) -> Certificate:
    """Read DER.

    Raises:
        Invalid: Go's reader refuses it.
    """
    outer = Reader(raw)
    content = outer.inner(der.SEQUENCE)
    if not outer.is_empty:
        raise malformed("end")
    _, inside, signed = content.element(der.SEQUENCE)
    body = Reader(inside)
    version = _version(body)
    serial = body.integer()
    algorithm = body.read(der.SEQUENCE)
    outer_algorithm = content.read(der.SEQUENCE)
    if serial < 0 or outer_algorithm != algorithm:
        raise malformed("serial number" if serial < 0 else "signature algorithm")
    kind, parameters = _algorithm(Reader(algorithm))
    issuer = _name(body)
    validity = body.inner(der.SEQUENCE)
    begins, ends = validity.time(), validity.time()
    subject = _name(body)
    _, key, key_info = body.element(der.SEQUENCE)
    public_key = _public_key(Reader(key))
    extensions = _extensions(body, version)
    signature = content.aligned_bits()
    return Certificate(
        raw=raw, signed=signed, version=version, serial=serial, issuer=issuer, subject=subject,
        begins=begins, ends=ends, key_info=key_info, public_key=public_key, extensions=extensions,
        algorithm=kind, parameters=parameters, signature=signature,
    )  # fmt: skip


def _version(body: Reader) -> int:
    given = body.optional(0xA0)
    number = 0 if given is None else _only_integer(given)
    if not 0 <= number <= 2:
        raise malformed("version")
    return number + 1


def _only_integer(raw: bytes) -> int:
    reader = Reader(raw)
    number = reader.integer()
    if not reader.is_empty:
        raise malformed("version")
    return number


def _algorithm(reader: Reader) -> tuple[bytes, bytes]:
    kind = reader.oid()
    return kind, b"" if reader.is_empty else reader.element()[2]


def _name(body: Reader) -> Name:
    _, content, raw = body.element(der.SEQUENCE)
    units, common_name = [], ""
    sets = Reader(content)
    while not sets.is_empty:
        one = sets.inner(der.SET)
        while not one.is_empty:
            attribute = one.inner(der.SEQUENCE)
            kind = attribute.oid()
            tag, value, _ = attribute.element()
            text = _text(tag, value)
            if kind == _UNIT:
                units.append(text)
            elif kind == _COMMON_NAME:
                common_name = text
    return Name(raw, tuple(units), common_name)


def _text(tag: int, value: bytes) -> str:
    """A string of one of six types."""
    if tag == der.BMP_STRING:
        return _basic_plane(value)
    encoding, allowed = _STRINGS.get(tag, ("", frozenset[int]()))
    if not encoding or (allowed and not allowed.issuperset(value)):
        raise malformed("name")
    try:
        return value.decode(encoding)
    except UnicodeDecodeError as error:
        raise malformed("name") from error


def _basic_plane(value: bytes) -> str:
    if len(value) % 2:
        raise malformed("name")
    text = value.removesuffix(b"\0\0") if value.endswith(b"\0\0") else value
    points = [int.from_bytes(text[at : at + 2], "big") for at in range(0, len(text), 2)]
    if any(point >= 0xFFFE or 0xFDD0 <= point <= 0xFDEF or 0xD800 <= point <= 0xDFFF for point in points):
        raise malformed("name")
    return "".join(map(chr, points))


def _public_key(reader: Reader) -> AuthorityKey | None:
    kind, parameters = _algorithm(reader.inner(der.SEQUENCE))
    content = reader.aligned_bits()
    try:
        if kind == _EC:
            return _elliptic(parameters, content)
        if kind == _ED25519 and not parameters:
            return ed25519.Ed25519PublicKey.from_public_bytes(content)
        if kind == _RSA and parameters == _NULL:
            return _rsa(Reader(content).inner(der.SEQUENCE))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise malformed("public key") from error
    if kind in (_ED25519, _RSA):
        raise malformed("public key")
    return None


def _elliptic(parameters: bytes, content: bytes) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(Reader(parameters).oid())
    if curve is None or content[:1] != bytes((_UNCOMPRESSED,)):
        raise malformed("public key")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, content)


def _rsa(reader: Reader) -> RsaKey:
    modulus, exponent = reader.integer(), reader.integer()
    if modulus <= 0 or exponent <= 0 or exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise malformed("public key")
    return RsaKey(modulus, exponent)


def _extensions(body: Reader, version: int) -> Extensions:
    if version == 1:
        return Extensions()
    for tag in (0x81, 0x82):
        body.optional(tag)
    given = body.optional(0xA3) if version == 3 else None
    return Extensions() if given is None else read_extensions(Reader(given).inner(der.SEQUENCE))
