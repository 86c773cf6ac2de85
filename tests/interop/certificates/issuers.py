"""Who may sign whom: constraints, uses, lengths of paths, limits of names, doubles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from tests.interop.certificates.forms import (
    ANY,
    BASIC,
    BOOLEAN,
    CA_EXTENSIONS,
    CLIENT,
    CN,
    LEAF_EXTENSIONS,
    MIDDLE_NAME,
    NAME_CONSTRAINTS,
    OU,
    POLICIES,
    ROOT_NAME,
    SAN,
    SEQUENCE,
    SERVER,
    UNKNOWN,
    Case,
    Extension,
    World,
    attribute,
    authority,
    basic,
    case,
    elliptic,
    integer,
    issued,
    key_usage,
    leaf,
    name,
    oid,
    plain_world,
    sign,
    tlv,
    usages,
    utc,
)


def authorities() -> Iterator[Case]:
    """Who may sign whom: constraints, uses, lengths of paths, names, doubles."""
    root = authority()
    shapes = [
        (basic(ca=True),),
        (basic(ca=True), key_usage(0)),
        (basic(ca=True), key_usage(6)),
        (basic(ca=False), key_usage(5)),
        (key_usage(5),),
        (),
        (basic(ca=True, path=0), key_usage(5)),
        (basic(ca=True, path=1), key_usage(5)),
        (*CA_EXTENSIONS, usages(CLIENT)),
        (*CA_EXTENSIONS, usages(SERVER)),
        (*CA_EXTENSIONS, usages(ANY)),
        (*CA_EXTENSIONS, usages(UNKNOWN)),
        (*CA_EXTENSIONS, Extension(UNKNOWN, b"x", critical=True)),
        (*CA_EXTENSIONS, Extension(UNKNOWN, b"x")),
        (replace(basic(ca=True), critical=False), key_usage(5)),
        (Extension(BASIC, tlv(SEQUENCE, tlv(BOOLEAN, b"\xff"), integer(-1))), key_usage(5)),
        (*CA_EXTENSIONS, Extension("2.5.29.36", tlv(SEQUENCE, tlv(0x80, b"\0")))),
        (*CA_EXTENSIONS, Extension(POLICIES, tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.3"))))),
    ]
    for shape in shapes:
        odd_root = authority(extensions=shape)
        for world in (
            World((odd_root,)),
            World((odd_root,), (authority(2, MIDDLE_NAME, odd_root),)),
            World((root,), (authority(2, MIDDLE_NAME, root, extensions=shape),)),
            World(
                (root,),
                (
                    authority(2, MIDDLE_NAME, root, extensions=shape),
                    authority(3, name(attribute(CN, "third")), authority(2, MIDDLE_NAME, root, extensions=shape)),
                ),
            ),
        ):
            label = " ".join(f"{item.kind}={item.value.hex()}" for item in shape)
            yield issued(f"authority of {label}", leaf(world), world)
            uses = replace(leaf(world), extensions=(*LEAF_EXTENSIONS, usages(CLIENT, SERVER)))
            yield issued(f"authority of {label}, uses named", uses, world)
    no_id = World((authority(ski=False),))
    yield issued("a root without key identifier", leaf(no_id), no_id)
    again = authority(1, serial=integer(77))
    longer = authority(1, validity=tlv(SEQUENCE, utc("240101000000Z"), utc("360101000000Z")))
    for extra in (root, again, longer, authority(4), authority(4, name(attribute(CN, "other")))):
        yield issued("two roots", leaf(World((extra, root))), World((extra, root)))
        yield issued("two roots", leaf(World((root, extra))), World((root, extra)))
        middle = authority(2, MIDDLE_NAME, root)
        yield issued("two roots and one below", leaf(World((root, extra), (middle,))), World((root, extra), (middle,)))
    middle = authority(2, MIDDLE_NAME, root)
    for twin in (authority(2, MIDDLE_NAME, root, serial=integer(78)), authority(5, MIDDLE_NAME, root), middle):
        yield issued("two below", leaf(World((root,), (twin, middle))), World((root,), (twin, middle)))
    above = replace(leaf(World((root,))), subject=leaf(plain_world()).subject)
    yield case("issued above an intermediate", World((root,), (middle,)), sign(above.encode(), root.key))
    stranger = authority(6, ROOT_NAME)
    yield case("of a namesake", World((root,)), sign(leaf(World((root,))).encode(), stranger.key))
    yield case("an authority as holder", World((root,)), root.der, root.key)
    yield case("an authority below as holder", World((root,), (middle,)), middle.der, middle.key)
    self_signed = replace(leaf(plain_world()), issuer=leaf(plain_world()).subject)
    yield case("signed by itself", plain_world(), sign(self_signed.encode(), elliptic(9)))
    loop = World(
        (root,),
        (
            authority(2, MIDDLE_NAME, authority(3, name(attribute(CN, "loop")))),
            authority(3, name(attribute(CN, "loop")), middle),
        ),
    )
    yield issued("a loop", leaf(loop), loop)


def constraints() -> Iterator[Case]:
    """Name constraints of an authority, and names of a holder."""
    allowed = [
        tlv(0x82, b"renhe.example"),
        tlv(0x82, b""),
        tlv(0x87, b"\x0a\0\0\0\xff\0\0\0"),
        tlv(0x81, b"renhe.example"),
        tlv(0x86, b"renhe.example"),
        tlv(0xA4, ROOT_NAME),
    ]
    held = [
        None,
        tlv(0x82, b"node.renhe.example"),
        tlv(0x82, b"node.other.example"),
        tlv(0x87, b"\x0a\1\2\3"),
        tlv(0x87, b"\x0b\1\2\3"),
        tlv(0x81, b"a@renhe.example"),
        tlv(0x81, b"a@other.example"),
        tlv(0x86, b"https://other.example/"),
    ]
    for kind, subtree, san, common in product((0xA0, 0xA1), allowed, held, ("node", "node one")):
        limits = Extension(NAME_CONSTRAINTS, tlv(SEQUENCE, tlv(kind, tlv(SEQUENCE, subtree))))
        for critical in (False, True):
            world = World((authority(extensions=(*CA_EXTENSIONS, replace(limits, critical=critical))),))
            more = () if san is None else (Extension(SAN, tlv(SEQUENCE, san)),)
            subject = name(attribute(OU, "client"), attribute(CN, common))
            parts = replace(leaf(world), subject=subject, extensions=(*LEAF_EXTENSIONS, *more))
            label = "" if san is None else san.hex()
            yield issued(f"{kind:x} {subtree.hex()[:30]} critical={critical}: {label} {common}", parts, world)
