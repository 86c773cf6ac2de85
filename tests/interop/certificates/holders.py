"""Ordinary certificates; then odd serial numbers, versions, units, names and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from tests.interop.certificates.forms import (
    AKI,
    ATTRIBUTES,
    BMP,
    BOOLEAN,
    CN,
    ECDSA,
    GENERALIZED,
    IA5,
    INTEGER,
    LEAF_EXTENSIONS,
    MIDDLE_NAME,
    NULL,
    NUMERIC,
    OCTETS,
    OU,
    PRINTABLE,
    SEQUENCE,
    SERIAL_NUMBER,
    SET,
    T61,
    UNIVERSAL,
    UTC_TIME,
    UTF8,
    Case,
    Extension,
    World,
    attribute,
    authority,
    case,
    deep_world,
    elliptic,
    generalized,
    integer,
    issued,
    key_id,
    leaf,
    name,
    oid,
    plain_world,
    sign,
    tlv,
    utc,
)


def ordinary() -> Iterator[Case]:
    """What cryptogen, Fabric CA and OpenSSL issue."""
    for world, curve, unit in product((plain_world(), deep_world()), range(4), ("client", "peer", "admin", "orderer")):
        key = elliptic(9, curve)
        yield issued(f"{unit} {key.curve.name}", leaf(world, unit, key=key), world, key)
    attributes = Extension(ATTRIBUTES, b'{"attrs":{"yilian.role":"node"}}')
    world = plain_world()
    for more in ((attributes,), (key_id(elliptic(9)),), (Extension(AKI, tlv(SEQUENCE, tlv(0x80, b"id"))),)):
        yield issued("extensions of Fabric CA", replace(leaf(world), extensions=(*LEAF_EXTENSIONS, *more)), world)
    for curve, size in ((1, 384), (2, 512), (0, 384), (0, 512), (0, 224), (0, 1)):
        root = authority(1, curve=curve, size=size)
        below = replace(leaf(World((root,))), algorithm=tlv(SEQUENCE, oid(ECDSA[size])))
        yield case(f"root {root.key.curve.name} {size}", World((root,)), sign(below.encode(), root.key, size))  # type: ignore[union-attr]


def serials() -> Iterator[Case]:
    for value in (0, 1, -1, -(2**64), 2**63, 2**159, 2**160, 2**200, 2**1000):
        yield issued(
            f"serial of {value.bit_length()} bits, {value >= 0}", replace(leaf(plain_world()), serial=integer(value))
        )
    for raw in (b"\0\x01", b"\0\0\x80", b"\xff\xff", b"", b"\x80"):
        yield issued(f"serial {raw.hex()}", replace(leaf(plain_world()), serial=tlv(INTEGER, raw)))


def versions() -> Iterator[Case]:
    for number in (0, 1, 2, 3, 4, -1, 127, 2**40):
        for extensions in ((), LEAF_EXTENSIONS):
            parts = replace(leaf(plain_world()), version=tlv(0xA0, integer(number)), extensions=extensions)
            yield issued(f"version {number} with {len(extensions)} extensions", parts)
    for extensions in ((), LEAF_EXTENSIONS):
        yield issued("no version", replace(leaf(plain_world()), version=b"", extensions=extensions))
    for more in (tlv(0x81, b"\0id"), tlv(0x82, b"\0id"), tlv(0x81, b"\0id") + tlv(0x82, b"\0id"), tlv(0x82, b"\x08i")):
        yield issued("unique identifiers", replace(leaf(plain_world()), more=more))


def units() -> Iterator[Case]:
    """Role units, one or several, in several encodings."""
    both = deep_world()
    limited = replace(both, unit_issuer=both.intermediates[0])
    elsewhere = replace(both, unit_issuer=both.roots[0])
    for world, named in product(
        (plain_world(), both, limited, elsewhere, replace(plain_world(), units=False)),
        (
            ("client",),
            ("peer",),
            ("client", "client"),
            ("client", "peer"),
            ("peer", "ward"),
            ("ward", "client"),
            ("ward",),
            ("Client",),
            ("client ",),
            ("admin", "admin"),
            ("orderer", "client"),
            ("ward", "ward", "peer"),
        ),
    ):
        yield issued(f"units {named}", leaf(world, *named), world)
    world = plain_world()
    for tag, raw in (
        (UTF8, b"client"),
        (T61, b"client"),
        (IA5, b"client"),
        (BMP, "client".encode("utf-16-be")),
        (BMP, "client\0".encode("utf-16-be")),
        (UNIVERSAL, "client".encode("utf-32-be")),
        (NUMERIC, b"client"),
        (OCTETS, b"client"),
        (UTF8, b"client\0"),
        (T61, b"client\xe9"),
    ):
        subject = name(attribute(OU, raw, tag), attribute(CN, "node"))
        yield issued(f"unit as {tag} {raw.hex()}", replace(leaf(world), subject=subject), world)
    one_set = tlv(SEQUENCE, tlv(SET, attribute(OU, "client"), attribute(OU, "peer")), tlv(SET, attribute(CN, "node")))
    yield issued("two units in one name part", replace(leaf(world), subject=one_set), world)
    mixed = tlv(SEQUENCE, tlv(SET, attribute(CN, "node"), attribute(OU, "client")))
    yield issued("unit beside the common name", replace(leaf(world), subject=mixed), world)
    unsorted = tlv(SEQUENCE, tlv(SET, attribute(OU, "client"), attribute(CN, "node")))
    yield issued("unit before the common name in one set", replace(leaf(world), subject=unsorted), world)


def names() -> Iterator[Case]:
    world = plain_world()
    unit = attribute(OU, "client")
    values: list[tuple[int, bytes]] = [
        (PRINTABLE, b"a_b"),
        (PRINTABLE, b"a@b"),
        (PRINTABLE, b"a*b"),
        (PRINTABLE, b"a&b"),
        (PRINTABLE, b"\xe9"),
        (PRINTABLE, b""),
        (UTF8, b"\xff"),
        (UTF8, b""),
        (UTF8, b"\xed\xa0\x80"),
        (UTF8, "仁和".encode()),
        (UTF8, b"a\0b"),
        (UTF8, b"x" * 200),
        (T61, b"\xe9"),
        (IA5, b"\xe9"),
        (IA5, b"a@b"),
        (NUMERIC, b"12 3"),
        (NUMERIC, b"a"),
        (BMP, b"\0a\xd8\0"),
        (BMP, b"\0"),
        (BMP, b"\xff\xfe"),
        (BMP, b"\0a\0\0"),
        (UNIVERSAL, b"\0\0\0a"),
        (UNIVERSAL, b"\0"),
        (BOOLEAN, b"\xff"),
        (SEQUENCE, b""),
        (0x1A, b"visible"),
        (0x80, b"a"),
        (0x1B, b"general"),
    ]
    for (tag, raw), kind in product(values, (CN, SERIAL_NUMBER, "2.5.4.45", "1.2.3.4", "2.5.4.6")):
        subject = name(unit, attribute(kind, raw, tag))
        yield issued(f"name {kind} as {tag} {raw.hex()[:20]}", replace(leaf(world), subject=subject))
    for subject in (
        tlv(SEQUENCE),
        tlv(SEQUENCE, tlv(SET)),
        tlv(SET, unit),
        name(unit, unit),
        tlv(SEQUENCE, tlv(SET, unit, unit)),
        name(unit, tlv(SEQUENCE, oid(CN))),
        name(unit, tlv(SEQUENCE, oid(CN), tlv(UTF8, b"a"), tlv(NULL))),
        name(unit, tlv(SEQUENCE)),
        tlv(SEQUENCE, tlv(SET, unit), tlv(SET)),
    ):
        yield issued(f"subject {subject.hex()[:40]}", replace(leaf(world), subject=subject))
    other_type = name(attribute("2.5.4.10", "renhe.example"), attribute(CN, "ca.renhe.example"))
    other_case = name(attribute("2.5.4.10", "RENHE.example", PRINTABLE), attribute(CN, "ca.renhe.example", PRINTABLE))
    for issuer in (other_type, other_case, tlv(SEQUENCE), MIDDLE_NAME):
        yield issued(f"issuer {issuer.hex()[:40]}", replace(leaf(world), issuer=issuer))
    for subject in (tlv(SEQUENCE), name(attribute(CN, "ca", BMP)), name(attribute(CN, b"c\0a", BMP))):
        root = authority(1, subject)
        yield issued("root of an odd name", leaf(World((root,))), World((root,)))


def validity() -> Iterator[Case]:
    begin, end = utc("250101000000Z"), utc("350101000000Z")
    forms = [
        utc("2501010000Z"),
        utc("250101000000+0000"),
        utc("250101000000+0100"),
        utc("250101000000"),
        utc("250101000060Z"),
        utc("251301000000Z"),
        utc("250230000000Z"),
        utc("250101240000Z"),
        utc("500101000000Z"),
        utc("491231235959Z"),
        utc(""),
        utc("2501010000000Z"),
        utc("25010100000aZ"),
        generalized("20250101000000Z"),
        generalized("20500101000000Z"),
        generalized("20250101000000.5Z"),
        generalized("20250101000000+0000"),
        generalized("202501010000Z"),
        generalized("20250101000000"),
        generalized("99991231235959Z"),
        generalized("00000101000000Z"),
        generalized("20250101000060Z"),
        generalized("19491231235959Z"),
        generalized("20240229000000Z"),
        generalized("20250229000000Z"),
        tlv(GENERALIZED, b""),
        tlv(INTEGER, b"\x01"),
        tlv(UTC_TIME, b"250101000000z"),
        tlv(UTC_TIME, b"-50101000000Z"),
    ]
    for form in forms:
        yield issued(f"begins {form.hex()}", replace(leaf(plain_world()), validity=tlv(SEQUENCE, form, end)))
        yield issued(f"ends {form.hex()}", replace(leaf(plain_world()), validity=tlv(SEQUENCE, begin, form)))
    for first, last in (
        ("250101000000Z", "250101000000Z"),
        ("250101000000Z", "250101000001Z"),
        ("260101000000Z", "250101000000Z"),
        ("241231235958Z", "350101000000Z"),
        ("241231235959Z", "350101000000Z"),
        ("350101000000Z", "360101000000Z"),
        ("341231235959Z", "360101000000Z"),
        ("350101000001Z", "360101000000Z"),
        ("700101000000Z", "360101000000Z"),
    ):
        yield issued(f"{first} to {last}", replace(leaf(plain_world()), validity=tlv(SEQUENCE, utc(first), utc(last))))
    yield issued("three times", replace(leaf(plain_world()), validity=tlv(SEQUENCE, begin, end, end)))
    for first, last in (("200101000000Z", "210101000000Z"), ("260101000000Z", "360101000000Z")):
        middle = authority(2, MIDDLE_NAME, authority(), validity=tlv(SEQUENCE, utc(first), utc(last)))
        yield issued(
            f"authority {first} to {last}", leaf(World((authority(),), (middle,))), World((authority(),), (middle,))
        )
