"""Certificates of every kind, also of kinds that no authority issues: put together byte by byte and signed.

The same seed gives the same bytes. Sources: RFC 5280 and X.690 for the forms, Fabric's msp/mspimpl*.go for what a
membership service looks at.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from network.blocks.protos import identities, msp_config, serialize

MSP: Final = "RenheMSP"
MESSAGE: Final = b"what the holder signs"
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CURVES: Final = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP224R1(), ec.SECP256K1())
HASHES: Final = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    512: hashes.SHA512(),
    224: hashes.SHA224(),
    1: hashes.SHA1(),  # noqa: S303 - it is refused
}
ECDSA: Final = {
    256: "1.2.840.10045.4.3.2", 384: "1.2.840.10045.4.3.3", 512: "1.2.840.10045.4.3.4", 224: "1.2.840.10045.4.3.1",
    1: "1.2.840.10045.4.1",
}  # fmt: skip
RSA_SHA256: Final = "1.2.840.113549.1.1.11"
ED25519: Final = "1.3.101.112"
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | x25519.X25519PrivateKey

BOOLEAN, INTEGER, BITS, OCTETS, NULL, OID, UTF8, SEQUENCE, SET = 1, 2, 3, 4, 5, 6, 12, 0x30, 0x31
NUMERIC, PRINTABLE, T61, IA5, UTC_TIME, GENERALIZED, UNIVERSAL, BMP = 18, 19, 20, 22, 23, 24, 28, 30
OU, CN, ORGANIZATION, SERIAL_NUMBER = "2.5.4.11", "2.5.4.3", "2.5.4.10", "2.5.4.5"
BASIC, KEY_USAGE, SKI, AKI, SAN, NAME_CONSTRAINTS, EKU, POLICIES, CRL_PLACES, ATTRIBUTES = (
    "2.5.29.19", "2.5.29.15", "2.5.29.14", "2.5.29.35", "2.5.29.17", "2.5.29.30", "2.5.29.37", "2.5.29.32",
    "2.5.29.31", "1.2.3.4.5.6.7.8.1",
)  # fmt: skip

UNKNOWN, INFORMATION_ACCESS = "1.3.6.1.4.1.99999.1", "1.3.6.1.5.5.7.1.1"
SERVER, CLIENT, ANY = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"


def tlv(tag: int, *content: bytes) -> bytes:
    """One element in DER."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def integer(value: int) -> bytes:
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in (first * 40 + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        content += bytes(reversed(digits))
    return tlv(OID, content)


def bits(content: bytes, unused: int = 0) -> bytes:
    return tlv(BITS, bytes((unused,)), content)


def attribute(kind: str, value: str | bytes, tag: int = UTF8) -> bytes:
    """One AttributeTypeAndValue."""
    return tlv(SEQUENCE, oid(kind), tlv(tag, value if isinstance(value, bytes) else value.encode()))


def name(*attributes: bytes) -> bytes:
    """A Name with one attribute in each RelativeDistinguishedName."""
    return tlv(SEQUENCE, *(tlv(SET, item) for item in attributes))


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; ``value`` is what its OCTET STRING holds."""

    kind: str
    value: bytes
    critical: bool = False

    def encode(self) -> bytes:
        return tlv(
            SEQUENCE, oid(self.kind), *([tlv(BOOLEAN, b"\xff")] if self.critical else []), tlv(OCTETS, self.value)
        )


def basic(*, ca: bool, path: int | None = None) -> Extension:
    parts = ([tlv(BOOLEAN, b"\xff")] if ca else []) + ([integer(path)] if path is not None else [])
    return Extension(BASIC, tlv(SEQUENCE, *parts), critical=True)


def key_usage(*numbers: int) -> Extension:
    """KeyUsage with these bits: 0 digitalSignature, 5 keyCertSign, 6 cRLSign."""
    value = sum(1 << (15 - number) for number in numbers).to_bytes(2, "big").rstrip(b"\0")
    last = max(numbers, default=-1)
    return Extension(KEY_USAGE, bits(value, (7 - last % 8) if numbers else 0), critical=True)


def usages(*kinds: str, critical: bool = False) -> Extension:
    return Extension(EKU, tlv(SEQUENCE, *map(oid, kinds)), critical)


@lru_cache(maxsize=64)
def elliptic(number: int, curve: int = 0) -> ec.EllipticCurvePrivateKey:
    """The same key for the same number."""
    return ec.derive_private_key(number + 2**200, CURVES[curve])


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def rsa_spki(modulus: int, exponent: int) -> bytes:
    """A public key of any two integers."""
    algorithm = tlv(SEQUENCE, oid("1.2.840.113549.1.1.1"), tlv(NULL))
    return tlv(SEQUENCE, algorithm, bits(tlv(SEQUENCE, integer(modulus), integer(exponent))))


def utc(text: str) -> bytes:
    return tlv(UTC_TIME, text.encode())


def generalized(text: str) -> bytes:
    return tlv(GENERALIZED, text.encode())


@dataclass(frozen=True, slots=True)
class Parts:
    """A certificate before it is signed; each part is DER."""

    issuer: bytes
    subject: bytes
    key: bytes
    extensions: tuple[Extension, ...] = ()
    version: bytes = tlv(0xA0, integer(2))
    serial: bytes = integer(0x1234567890ABCDEF)
    validity: bytes = tlv(SEQUENCE, utc("250101000000Z"), utc("350101000000Z"))
    more: bytes = b""
    algorithm: bytes = tlv(SEQUENCE, oid(ECDSA[256]))

    def encode(self) -> bytes:
        listed = tlv(0xA3, tlv(SEQUENCE, *(item.encode() for item in self.extensions))) if self.extensions else b""
        return tlv(
            SEQUENCE, self.version, self.serial, self.algorithm, self.issuer, self.validity, self.subject, self.key,
            self.more, listed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with the key of its holder."""

    der: bytes
    key: Key = field(repr=False)
    subject: bytes = b""


def sign(tbs: bytes, key: Key, size: int = 256, algorithm: bytes | None = None) -> bytes:
    """The whole certificate, signed by the authority's key; ECDSA with the lower S."""
    return seal(tbs, algorithm or tlv(SEQUENCE, oid(ECDSA[size])), bits(signature(tbs, key, size)))


def seal(tbs: bytes, algorithm: bytes, value: bytes) -> bytes:
    return tlv(SEQUENCE, tbs, algorithm, value)


def signature(content: bytes, key: Key, size: int = 256) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), HASHES[size])
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(HASHES[size], deterministic_signing=True)))
    return encode_dss_signature(r, min(s, P256_ORDER - s) if key.curve.name == "secp256r1" else s)


@dataclass(frozen=True, slots=True)
class Case:
    """A certificate and the membership service that judges it."""

    kind: str
    config: bytes
    identity: bytes
    signed: bytes = b""
    """The holder's signature over MESSAGE, if its key can give one."""


@dataclass(frozen=True, slots=True)
class World:
    """The authorities of one case."""

    roots: tuple[Pair, ...]
    intermediates: tuple[Pair, ...] = ()
    units: bool = True
    unit_issuer: Pair | None = None
    revocations: tuple[bytes, ...] = ()

    @property
    def issuer(self) -> Pair:
        """Who issues the holder's certificate."""
        return (self.intermediates or self.roots)[-1]


ROOT_NAME: Final = name(
    attribute(ORGANIZATION, "renhe.example", PRINTABLE), attribute(CN, "ca.renhe.example", PRINTABLE)
)
MIDDLE_NAME: Final = name(
    attribute(ORGANIZATION, "renhe.example", PRINTABLE), attribute(CN, "ica.renhe.example", PRINTABLE)
)
CA_EXTENSIONS: Final = (basic(ca=True), key_usage(0, 5, 6))
LEAF_EXTENSIONS: Final = (basic(ca=False), key_usage(0))


def key_id(key: Key) -> Extension:
    return Extension(SKI, tlv(OCTETS, spki(key)[-20:]))


def authority(
    number: int = 1, subject: bytes = ROOT_NAME, by: Pair | None = None, *, curve: int = 0, size: int = 256,
    extensions: tuple[Extension, ...] = CA_EXTENSIONS, ski: bool = True, **changes: bytes,
) -> Pair:  # fmt: skip
    """A root, or an authority below another."""
    key = elliptic(number, curve)
    issuer, signing = (by.subject, by.key) if by else (subject, key)
    listed = (*extensions, *((key_id(key),) if ski else ()))
    parts = replace(
        Parts(issuer, subject, spki(key), listed, algorithm=tlv(SEQUENCE, oid(ECDSA[size]))),
        **changes,  # type: ignore[arg-type]
    )
    return Pair(sign(parts.encode(), signing, size), key, subject)


def plain_world() -> World:
    return World((authority(),))


def deep_world() -> World:
    root = authority()
    return World((root,), (authority(2, MIDDLE_NAME, root),))


def leaf(world: World, *units: str, number: int = 9, key: Key | None = None) -> Parts:
    """An ordinary certificate of the unit ``client``, or of others."""
    holder = key or elliptic(number)
    named = [attribute(OU, unit, PRINTABLE) for unit in units or ("client",)]
    return Parts(world.issuer.subject, name(*named, attribute(CN, "node", PRINTABLE)), spki(holder), LEAF_EXTENSIONS)


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    text = base64.encodebytes(der).replace(b"\n", b"")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])


def case(kind: str, world: World, der: bytes, key: Key | None = None) -> Case:
    holder = key or elliptic(9)
    message = identities.SerializedIdentity(mspid=MSP, id_bytes=pem(der))
    signed = b"" if isinstance(holder, x25519.X25519PrivateKey) else _signed(holder)
    return Case(kind, configuration(world), serialize(message), signed)


def _signed(key: Key) -> bytes:
    value = signature(MESSAGE, key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ORDERS:
        r, s = decode_dss_signature(value)
        value = encode_dss_signature(r, min(s, _ORDERS[key.curve.name] - s))
    return value


_ORDERS: Final = {
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp384r1": int("FF" * 24 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "secp521r1": int("1FF" + "FF" * 31 + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
}  # fmt: skip


def configuration(world: World) -> bytes:
    """``msp.MSPConfig`` with the four units of a role."""
    fabric = msp_config.FabricMSPConfig(
        name=MSP,
        root_certs=[pem(item.der) for item in world.roots],
        intermediate_certs=[pem(item.der) for item in world.intermediates],
        revocation_list=world.revocations,
        admins=[] if world.units else [pem(sign(leaf(world, "admin", number=8).encode(), world.issuer.key))],
    )
    if world.units:
        units = fabric.fabric_node_ous
        units.enable = True
        for role in ("client", "peer", "admin", "orderer"):
            unit = getattr(units, f"{role}_ou_identifier")
            unit.organizational_unit_identifier = role
            if world.unit_issuer is not None:
                unit.certificate = pem(world.unit_issuer.der)
    return serialize(msp_config.MSPConfig(type=0, config=serialize(fabric)))


def issued(kind: str, parts: Parts, world: World | None = None, key: Key | None = None) -> Case:
    """A case with a certificate that its authority signed as it should."""
    judged = world or plain_world()
    return case(kind, judged, sign(parts.encode(), judged.issuer.key), key)
