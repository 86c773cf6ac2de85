"""Lists of revoked certificates of every kind that a member can put into its own MSP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.interop.certificates.forms import (
    AKI,
    CA_EXTENSIONS,
    CN,
    ECDSA,
    NULL,
    P256_ORDER,
    PRINTABLE,
    ROOT_NAME,
    RSA_SHA256,
    SEQUENCE,
    SET,
    UNKNOWN,
    Case,
    Extension,
    Pair,
    Parts,
    World,
    bits,
    case,
    elliptic,
    generalized,
    integer,
    issued,
    key_id,
    leaf,
    oid,
    pem,
    plain_world,
    seal,
    sign,
    signature,
    spki,
    tlv,
    utc,
)
from tests.interop.certificates.mutated import reshape

HOLDER: Final = 0x1234567890ABCDEF
SHA1_RSA: Final = "1.2.840.113549.1.1.5"
PSS: Final = "1.2.840.113549.1.1.10"
SHA256: Final = "2.16.840.1.101.3.4.2.1"


def key_name(number: int = 1, *more: bytes) -> Extension:
    return Extension(AKI, tlv(SEQUENCE, tlv(0x80, spki(elliptic(number))[-20:]), *more))


def entry(serial: int = HOLDER, more: bytes = b"") -> bytes:
    return tlv(SEQUENCE, integer(serial), utc("250102000000Z"), more)


def body(
    extensions: Sequence[Extension] = (key_name(),), revoked: bytes | None = None, *, version: bytes = integer(1),
    this: bytes = utc("250101000000Z"), following: bytes = utc("350101000000Z"), issuer: bytes = ROOT_NAME,
    algorithm: bytes = tlv(SEQUENCE, oid(ECDSA[256])), behind: bytes = b"",
) -> bytes:  # fmt: skip
    """TBSCertList."""
    listed = tlv(0xA0, tlv(SEQUENCE, *(item.encode() for item in extensions))) if extensions else b""
    entries = tlv(SEQUENCE, entry()) if revoked is None else revoked
    return tlv(SEQUENCE, version, algorithm, issuer, this, following, entries, listed, behind)


def signed(tbs: bytes, algorithm: str = ECDSA[256], size: int = 256) -> bytes:
    return seal(tbs, tlv(SEQUENCE, oid(algorithm)), bits(signature(tbs, elliptic(1), size)))


def _bodies() -> Iterator[tuple[str, bytes]]:
    yield "ordinary", body()
    other = Extension(UNKNOWN, b"x")
    for label, extensions in {
        "authority twice": (key_name(), key_name()),
        "another authority first": (key_name(2), key_name()),
        "unknown twice": (key_name(), other, other),
        "unknown critical": (key_name(), replace(other, critical=True)),
        "X.400 issuer": (key_name(1, tlv(0xA1, tlv(0xA3, b"")), tlv(0x82, b"\1")),),
        "EDI issuer": (key_name(1, tlv(0xA1, tlv(0xA5, b"")), tlv(0x82, b"\1")),),
        "constructed serial": (key_name(1, tlv(0xA2, b"\1")),),
        "primitive issuer": (key_name(1, tlv(0x81, b"x"), tlv(0x82, b"\1")),),
        "behind the authority": (key_name(1, tlv(0x84, b"")),),
        "after the authority": (replace(key_name(), value=key_name().value + b"junk"),),
        "junk authority": (Extension(AKI, b"junk"),),
        "authority without an identifier": (Extension(AKI, tlv(SEQUENCE)),),
        "no authority": (other,),
        "nothing": (),
        "X.400 name": (key_name(), Extension("2.5.29.18", tlv(SEQUENCE, tlv(0xA3, b"")))),
        "garbled number": (key_name(), Extension("2.5.29.20", b"\2")),
        "garbled place": (key_name(), Extension("2.5.29.28", b"junk")),
    }.items():
        yield f"extensions {label}", body(extensions)
    for number in (-1, 0, 2, 1 << 63):
        yield f"version {number.bit_length()} bits {number > 0}", body(version=integer(number))
    yield "no version", body(version=b"")
    for label, entries in {
        "none": tlv(SEQUENCE),
        "absent": b"",
        "another": tlv(SEQUENCE, entry(5)),
        "negative": tlv(SEQUENCE, entry(-5), entry()),
        "huge": tlv(SEQUENCE, entry(1 << 60_000), entry()),
        "twice": tlv(SEQUENCE, entry(), entry()),
        "bad reason": tlv(SEQUENCE, entry(HOLDER, tlv(SEQUENCE, Extension("2.5.29.21", b"\x0a\1\x63").encode()))),
        "extension twice": tlv(SEQUENCE, entry(HOLDER, tlv(SEQUENCE, other.encode(), other.encode()))),
        "element behind": tlv(SEQUENCE, entry(HOLDER, tlv(SEQUENCE) + tlv(NULL))),
        "no extensions but null": tlv(SEQUENCE, entry(HOLDER, tlv(NULL))),
        "set": tlv(SET, entry()),
    }.items():
        yield f"entries {label}", body(revoked=entries)
    for label, begins in {
        "general": generalized("20250101000000Z"),
        "fraction": generalized("20250101000000.5Z"),
        "no seconds": utc("2501010000Z"),
        "zone": utc("250101000000+0100"),
        "junk": utc("junk"),
    }.items():
        yield f"time {label}", body(this=begins)
    yield "no next", body(following=b"")
    yield "one unknown element more", body(behind=tlv(NULL))
    garbled = tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, oid(CN), tlv(PRINTABLE, b"@_\xff"))))
    yield "garbled issuer", body(issuer=garbled)
    listed = tlv(SEQUENCE, key_name().encode())
    for size in (0, 1, len(listed) + 9):
        yield f"explicit tag of {size} bytes", body((), behind=bytes((0xA0, size)) + listed)
    yield "algorithm within", body(algorithm=tlv(SEQUENCE, oid(UNKNOWN), tlv(NULL), tlv(NULL)))


def _lists() -> Iterator[tuple[str, bytes]]:
    for label, tbs in _bodies():
        yield label, pem(signed(tbs), "X509 CRL")
    plain, good = body(), signed(body())
    r, s = decode_dss_signature(signature(plain, elliptic(1)))
    algorithm = tlv(SEQUENCE, oid(ECDSA[256]))
    for label, value in {
        "high": encode_dss_signature(r, P256_ORDER - s),
        "of another": signature(plain, elliptic(7)),
        "byte behind": encode_dss_signature(r, s) + b"\0",
        "element behind": tlv(SEQUENCE, integer(r), integer(s), integer(1)),
        "negative": tlv(SEQUENCE, integer(-r), integer(s)),
        "junk": b"junk",
        "empty": b"",
    }.items():
        yield f"signature {label}", pem(seal(plain, algorithm, bits(value)), "X509 CRL")
    for label, known, size in (
        ("RSA", RSA_SHA256, 256), ("unknown", UNKNOWN, 256), ("SHA-1", ECDSA[1], 1), ("SHA-1 of 256", ECDSA[1], 256),
        ("SHA-384", ECDSA[384], 384), ("SHA-512", ECDSA[512], 512), ("SHA-224", ECDSA[224], 224),
    ):  # fmt: skip
        yield f"algorithm {label}", pem(signed(plain, known, size), "X509 CRL")
    text = pem(good, "X509 CRL")
    for label, raw in {
        "another label": pem(good, "CERTIFICATE"),
        "longer label": pem(good, "X509 CRLS"),
        "DER": good,
        "DER and more": good + b"\0",
        "before": b"hello\n" + text,
        "another first": pem(b"abc", "FOO") + text,
        "headers": text.replace(b"-----\n", b"-----\nA: b\n\n", 1),
        "cut": good[:-1],
        "fourth element": tlv(SEQUENCE, plain, algorithm, bits(signature(plain, elliptic(1))), tlv(NULL)),
        "junk": b"junk",
        "empty": b"",
    }.items():
        yield f"form {label}", raw


def revocations() -> Iterator[Case]:
    for label, raw in _lists():
        world = replace(plain_world(), revocations=(raw,))
        yield issued(label, leaf(world), world)
        yield issued(f"{label}, another serial", replace(leaf(world), serial=integer(77)), world)
    both = tuple(raw for _, raw in list(_lists())[:2])
    world = replace(plain_world(), revocations=(pem(signed(body((key_name(2),))), "X509 CRL"), *both))
    yield issued("three lists", leaf(world), world)


@lru_cache(maxsize=1)
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pss(salt: int = 32, mask: str = SHA256, trailer: int | None = None, null: bytes = tlv(NULL)) -> bytes:
    """AlgorithmIdentifier of RSASSA-PSS."""
    digest = tlv(SEQUENCE, oid(SHA256), null)
    generator = tlv(SEQUENCE, oid("1.2.840.113549.1.1.8"), tlv(SEQUENCE, oid(mask), null))
    last = b"" if trailer is None else tlv(0xA3, integer(trailer))
    return tlv(
        SEQUENCE, oid(PSS), tlv(SEQUENCE, tlv(0xA0, digest), tlv(0xA1, generator), tlv(0xA2, integer(salt)), last)
    )


def rsa_authority() -> Iterator[Case]:
    """What an authority with an RSA key signs: certificates and lists, by PKCS #1 and by PSS."""
    key, inner = _rsa(), tlv(SEQUENCE, oid(RSA_SHA256), tlv(NULL))
    parts = Parts(ROOT_NAME, ROOT_NAME, spki(key), (*CA_EXTENSIONS, key_id(key)), algorithm=inner)
    world = World((Pair(sign(parts.encode(), key, algorithm=inner), key, ROOT_NAME),))
    named = Extension(AKI, tlv(SEQUENCE, tlv(0x80, spki(key)[-20:])))
    schemes: dict[str, tuple[bytes, int | None]] = {
        "PKCS #1": (inner, None), "PSS": (pss(), 32), "PSS without null": (pss(null=b""), 32),
        "PSS trailer": (pss(trailer=1), 32), "PSS other trailer": (pss(trailer=2), 32),
        "PSS long salt": (pss(64), 64), "PSS other salt": (pss(), 20), "PSS other mask": (pss(mask=UNKNOWN), 32),
        "PSS without parameters": (tlv(SEQUENCE, oid(PSS)), 32),
    }  # fmt: skip
    for label, (algorithm, salt) in schemes.items():
        below = replace(leaf(world), algorithm=algorithm).encode()
        yield case(f"below {label}", world, seal(below, algorithm, bits(_rsa_signature(below, salt))))
        tbs = body((named,))
        listed = replace(world, revocations=(pem(seal(tbs, algorithm, bits(_rsa_signature(tbs, salt))), "X509 CRL"),))
        plain = replace(leaf(world), algorithm=inner).encode()
        yield case(f"list by {label}", listed, seal(plain, inner, bits(_rsa_signature(plain, None))))
    tbs = body((named,))
    old = seal(tbs, tlv(SEQUENCE, oid(SHA1_RSA), tlv(NULL)), bits(signature(tbs, key, 1)))
    plain = replace(leaf(world), algorithm=inner).encode()
    yield case(
        "list by SHA-1", replace(world, revocations=(old,)), seal(plain, inner, bits(_rsa_signature(plain, None)))
    )


def _rsa_signature(content: bytes, salt: int | None) -> bytes:
    if salt is None:
        return signature(content, _rsa())
    return _rsa().sign(content, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())


def changed(chance: Random) -> Case:
    """A list of which one element is dropped, doubled, exchanged, retagged or emptied, before it is signed or after."""
    tbs = body((key_name(), Extension(UNKNOWN, b"x")), tlv(SEQUENCE, entry(5), entry(HOLDER, tlv(SEQUENCE))))
    raw = signed(reshape(tbs, chance)) if chance.random() < 0.7 else reshape(signed(tbs), chance)
    world = replace(plain_world(), revocations=(raw,))
    return issued("elements of a revocation list", leaf(world), world)
