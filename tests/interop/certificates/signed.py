"""Kinds of keys, and signatures that are odd or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.interop.certificates.forms import (
    CA_EXTENSIONS,
    ECDSA,
    ED25519,
    INTEGER,
    MIDDLE_NAME,
    NULL,
    OCTETS,
    P256_ORDER,
    ROOT_NAME,
    RSA_SHA256,
    SEQUENCE,
    UNKNOWN,
    Case,
    Pair,
    World,
    authority,
    bits,
    case,
    deep_world,
    elliptic,
    integer,
    issued,
    key_id,
    leaf,
    oid,
    plain_world,
    rsa_spki,
    seal,
    sign,
    signature,
    spki,
    tlv,
)


@lru_cache(maxsize=1)
def _rsa() -> rsa.RSAPrivateKey:
    """The one key that is another in each run: no signature of it is compared."""
    return rsa.generate_private_key(65537, 2048)


def keys() -> Iterator[Case]:
    world = plain_world()
    edwards, montgomery = (
        ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32),
        x25519.X25519PrivateKey.from_private_bytes(b"k" * 32),
    )
    for key in (elliptic(9, 4), edwards, montgomery, _rsa()):
        yield issued(f"key {type(key).__name__}", leaf(world, key=key), world, key)
    holder = elliptic(9)
    point = spki(holder)[-65:]
    curve = oid("1.2.840.10045.3.1.7")
    explicit = tlv(
        SEQUENCE,
        integer(1),
        tlv(SEQUENCE, oid("1.2.840.10045.1.1"), integer(2**256 - 2**224 + 2**192 + 2**96 - 1)),
        tlv(
            SEQUENCE,
            tlv(OCTETS, (2**256 - 2**224 + 2**192 + 2**96 - 4).to_bytes(32, "big")),
            tlv(OCTETS, bytes.fromhex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")),
        ),
        tlv(
            OCTETS,
            bytes.fromhex(
                "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
            ),
        ),
        integer(P256_ORDER),
        integer(1),
    )
    numbers = holder.public_key().public_numbers()
    compressed = bytes((2 + numbers.y % 2,)) + numbers.x.to_bytes(32, "big")
    hybrid = bytes((6 + numbers.y % 2,)) + point[1:]
    kinds = {
        "explicit parameters": (explicit, bits(point)),
        "compressed": (curve, bits(compressed)),
        "hybrid": (curve, bits(hybrid)),
        "infinity": (curve, bits(b"\0")),
        "off the curve": (curve, bits(point[:-1] + bytes((point[-1] ^ 1,)))),
        "no parameters": (b"", bits(point)),
        "null parameters": (tlv(NULL), bits(point)),
        "short": (curve, bits(point[:-1])),
        "long": (curve, bits(point + b"\0")),
        "unused bits": (curve, bits(point, 1)),
        "other curve": (oid("1.3.132.0.34"), bits(point)),
        "two parameters": (curve + tlv(NULL), bits(point)),
        "x of the field's size": (curve, bits(b"\4" + b"\xff" * 64)),
    }
    for label, (parameters, value) in kinds.items():
        parts = replace(leaf(world), key=tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.840.10045.2.1"), parameters), value))
        yield issued(f"key {label}", parts, world)
    small = ec.derive_private_key(5, ec.BrainpoolP256R1())
    yield issued("key on a curve of others", leaf(world, key=small), world, small)
    root = Pair(b"", _rsa(), ROOT_NAME)
    inner = tlv(SEQUENCE, oid(RSA_SHA256), tlv(NULL))
    parts = replace(
        leaf(plain_world()),
        subject=ROOT_NAME,
        key=spki(_rsa()),
        extensions=(*CA_EXTENSIONS, key_id(_rsa())),
        algorithm=inner,
    )
    root = replace(root, der=sign(parts.encode(), _rsa(), algorithm=inner))
    world = World((root,))
    for algorithm, size in (
        (inner, 256),
        (tlv(SEQUENCE, oid(RSA_SHA256)), 256),
        (tlv(SEQUENCE, oid("1.2.840.113549.1.1.5"), tlv(NULL)), 1),
        (tlv(SEQUENCE, oid("1.2.840.113549.1.1.12"), tlv(NULL)), 384),
    ):
        below = replace(leaf(world), algorithm=algorithm).encode()
        yield case(f"below RSA {algorithm.hex()}", world, seal(below, algorithm, bits(signature(below, _rsa(), size))))


def rsa_integers() -> Iterator[Case]:
    """Keys of which no library makes one: of a holder, and of an authority beside the one that issues."""
    large = (1 << 2047) + 1
    moduli = (-large, -1, 0, 1, 15, (1 << 511) + 1, large, large - 1, (1 << 20_000) - 1)
    exponents = (-65537, -1, 0, 1, 2, 3, 65536, 65537, (1 << 31) - 1, (1 << 31) + 1, (1 << 63) - 1, 1 << 63, 1 << 3000)
    world = plain_world()
    for modulus, exponent in {*product(moduli, (3, -3, 65537)), *product((large, 15), exponents)}:
        kind = f"modulus {modulus.bit_length()} bits {modulus > 0}, exponent {exponent.bit_length()} bits {exponent}"
        parts = replace(leaf(world), key=rsa_spki(modulus, exponent))
        yield issued(kind[:80], parts, world)
        beside = replace(parts, subject=MIDDLE_NAME, extensions=(*CA_EXTENSIONS, key_id(elliptic(2))))
        other = Pair(sign(beside.encode(), world.issuer.key), elliptic(2), MIDDLE_NAME)
        deep = deep_world()
        both = replace(deep, intermediates=(other, *deep.intermediates))
        yield issued(f"authority beside {kind[:60]}", leaf(both), both)


def signatures() -> Iterator[Case]:
    """High S, other algorithms within and without, things behind."""
    world, plain = plain_world(), tlv(SEQUENCE, oid(ECDSA[256]))
    tbs = leaf(world).encode()
    good = signature(tbs, world.issuer.key)
    r, s = decode_dss_signature(good)
    high = encode_dss_signature(r, P256_ORDER - s)
    values = {
        "low": good,
        "high": high,
        "behind": good + b"\0",
        "element behind": tlv(SEQUENCE, integer(r), integer(s), integer(1)),
        "zero": tlv(SEQUENCE, integer(0), integer(0)),
        "negative": tlv(SEQUENCE, integer(-r), integer(s)),
        "padded": tlv(SEQUENCE, tlv(INTEGER, b"\0\0" + r.to_bytes(32, "big")), integer(s)),
        "beyond the order": tlv(SEQUENCE, integer(r + P256_ORDER), integer(s)),
        "empty": b"",
        "length of two bytes": b"\x30\x81" + good[1:2] + good[2:],
        "raw": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "indefinite": b"\x30\x80" + good[2:] + b"\0\0",
    }
    for label, value in values.items():
        yield case(f"signature {label}", world, seal(tbs, plain, bits(value)))
        below = deep_world()
        yield case(f"signature {label} of the wrong world", below, seal(tbs, plain, bits(value)))
    algorithms = {
        "null": tlv(SEQUENCE, oid(ECDSA[256]), tlv(NULL)),
        "another hash": tlv(SEQUENCE, oid(ECDSA[384])),
        "unknown": tlv(SEQUENCE, oid(UNKNOWN)),
        "curve": tlv(SEQUENCE, oid(ECDSA[256]), oid("1.2.840.10045.3.1.7")),
        "ed25519": tlv(SEQUENCE, oid(ED25519)),
        "empty": tlv(SEQUENCE),
    }
    for (label, algorithm), where in product(algorithms.items(), ("inside", "outside", "both")):
        inside = leaf(world) if where == "outside" else replace(leaf(world), algorithm=algorithm)
        raw = inside.encode()
        yield case(
            f"algorithm {label} {where}",
            world,
            sign(raw, world.issuer.key, algorithm=plain if where == "inside" else algorithm),
        )
    whole = sign(tbs, world.issuer.key)
    for label, der in {
        "byte behind": whole + b"\0",
        "certificate behind": whole + whole,
        "cut": whole[:-1],
        "fourth element": tlv(SEQUENCE, tbs, plain, bits(good), tlv(NULL)),
        "unused bits": seal(tbs, plain, bits(good, 3)),
        "octets": seal(tbs, plain, tlv(OCTETS, good)),
        "long length": b"\x30\x83\0" + whole[2:4] + whole[4:],
        "empty": b"",
    }.items():
        yield case(f"certificate {label}", world, der)
    for below in (deep_world(),):
        raw = leaf(below).encode()
        r, s = decode_dss_signature(signature(raw, below.issuer.key))
        yield case(
            "high S below an intermediate", below, seal(raw, plain, bits(encode_dss_signature(r, P256_ORDER - s)))
        )
    root = authority()
    r, s = decode_dss_signature(_value_of(root.der))
    other = replace(root, der=seal(_tbs_of(root.der), plain, bits(encode_dss_signature(r, P256_ORDER - s))))
    yield issued("a root of high S", leaf(World((other,))), World((other,)))
    yield issued("a root of high and of low S", leaf(World((other, root))), World((other, root)))


def _tbs_of(der: bytes) -> bytes:
    return der[4 : 4 + 4 + int.from_bytes(der[6:8], "big")]


def _value_of(der: bytes) -> bytes:
    at = 4 + len(_tbs_of(der)) + 12
    return der[at + 3 :]
