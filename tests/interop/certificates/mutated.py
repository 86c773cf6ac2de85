"""Ordinary certificates with something changed by chance, most of them before they are signed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.interop.certificates.forms import (
    AKI,
    ATTRIBUTES,
    BMP,
    BOOLEAN,
    CLIENT,
    CRL_PLACES,
    GENERALIZED,
    IA5,
    INTEGER,
    LEAF_EXTENSIONS,
    NULL,
    OCTETS,
    POLICIES,
    PRINTABLE,
    SAN,
    SEQUENCE,
    SERVER,
    SET,
    UTC_TIME,
    UTF8,
    Case,
    Extension,
    case,
    deep_world,
    elliptic,
    issued,
    key_id,
    leaf,
    oid,
    plain_world,
    rsa_spki,
    sign,
    tlv,
    usages,
)


def flipped(chance: Random) -> Case:
    """One byte of the signed part changed before it is signed, or of the whole after it."""
    world = chance.choice((plain_world(), deep_world()))
    general = Extension(SAN, tlv(SEQUENCE, tlv(0x82, b"node.example"), tlv(0x87, b"\x7f\0\0\1")))
    more = chance.sample(
        (
            general,
            usages(SERVER, CLIENT),
            key_id(elliptic(9)),
            Extension(AKI, tlv(SEQUENCE, tlv(0x80, b"id"))),
            Extension(ATTRIBUTES, b"{}"),
        ),
        chance.randrange(4),
    )
    raw = bytearray(replace(leaf(world), extensions=(*LEAF_EXTENSIONS, *more)).encode())
    if chance.random() < 0.2:
        raw = bytearray(sign(bytes(raw), world.issuer.key))
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        return case("a bit of the whole", world, bytes(raw))
    match chance.randrange(3):
        case 0:
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        case 1:
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        case _:
            at = chance.randrange(len(raw))
            raw[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
    return case("bytes of the signed part", world, sign(bytes(raw), world.issuer.key))


def rsa(chance: Random) -> Case:
    """An RSA key of two integers of any size and sign, maybe with a byte of them exchanged."""
    world = plain_world()
    modulus, exponent = (
        chance.choice((1, 1, -1)) * chance.getrandbits(chance.choice((1, 8, 31, 33, 63, 65, 512, 2048)))
        for _ in range(2)
    )
    key = bytearray(rsa_spki(modulus, exponent))
    if chance.random() < 0.5:
        key[-1 - chance.randrange(min(len(key) - 1, 40))] = chance.randrange(256)
    return issued("integers of an RSA key", replace(leaf(world), key=bytes(key)), world)


def reshaped(chance: Random) -> Case:
    """One element of the signed part dropped, doubled, exchanged, retagged, emptied, or given a longer length."""
    world = chance.choice((plain_world(), deep_world()))
    general = Extension(
        SAN, tlv(SEQUENCE, tlv(0x82, b"node.example"), tlv(0x87, b"\x7f\0\0\1"), tlv(0x86, b"https://node.example/"))
    )
    places = Extension(CRL_PLACES, tlv(SEQUENCE, tlv(SEQUENCE, tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://x/crl"))))))
    policies = Extension(POLICIES, tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.3"))))
    more = chance.sample(
        (
            general,
            usages(SERVER, CLIENT),
            key_id(elliptic(9)),
            Extension(AKI, tlv(SEQUENCE, tlv(0x80, b"id"))),
            places,
            policies,
        ),
        chance.randrange(5),
    )
    raw = replace(leaf(world), extensions=(*LEAF_EXTENSIONS, *more)).encode()
    return case("elements of the signed part", world, sign(reshape(raw, chance), world.issuer.key))


def reshape(raw: bytes, chance: Random) -> bytes:
    """The elements as a tree of which one node is changed; OCTET STRINGs of extensions are opened too."""
    tree = _tree(raw)
    assert tree is not None
    nodes: list[list[object]] = []
    _collect(tree[0], nodes)
    _change(chance.choice(nodes[1:]), chance)
    return _encode(tree[0])


def _tree(raw: bytes) -> list[list[object]] | None:
    """Elements as [tag, content or children]; None where the bytes are no elements."""
    found: list[list[object]] = []
    at = 0
    while at < len(raw):
        if at + 2 > len(raw):
            return None
        tag, size, at = raw[at], raw[at + 1], at + 2
        if size >= 0x80:
            count = size & 0x7F
            if not 1 <= count <= 3 or at + count > len(raw):
                return None
            size, at = int.from_bytes(raw[at : at + count], "big"), at + count
        content, at = raw[at : at + size], at + size
        if at > len(raw):
            return None
        children = _tree(content) if content and (tag & 0x20 or tag == OCTETS) else None
        found.append([tag, content if children is None else children, b""])
    return found


def _collect(node: list[object], nodes: list[list[object]]) -> None:
    nodes.append(node)
    if isinstance(node[1], list):
        for child in node[1]:
            _collect(child, nodes)


def _change(node: list[object], chance: Random) -> None:
    children = node[1] if isinstance(node[1], list) and node[1] else None
    match chance.randrange(8):
        case 0 if children:
            children.pop(chance.randrange(len(children)))
        case 1 if children:
            children.append(chance.choice(children))
        case 2 if children:
            chance.shuffle(children)
        case 3:
            node[0] = chance.choice(
                (
                    BOOLEAN,
                    INTEGER,
                    OCTETS,
                    NULL,
                    6,
                    UTF8,
                    SEQUENCE,
                    SET,
                    PRINTABLE,
                    UTC_TIME,
                    GENERALIZED,
                    0x80,
                    0xA0,
                    0xA3,
                    IA5,
                    BMP,
                )
            )
        case 4:
            node[1] = b""
        case 5:
            node[2] = chance.choice(("long", "longer", "indefinite"))
        case 6 if isinstance(node[1], bytes):
            node[1] = b"\0" + node[1]
        case _ if isinstance(node[1], bytes):
            node[1] = node[1] + chance.randbytes(1)
        case _:
            node[0] = chance.randrange(256)


def _encode(node: list[object]) -> bytes:
    tag, content, form = node
    assert isinstance(tag, int)
    body = b"".join(map(_encode, content)) if isinstance(content, list) else content
    assert isinstance(body, bytes)
    if form == "indefinite":
        return bytes((tag, 0x80)) + body + b"\0\0"
    if form:
        count = 2 if form == "long" else 4
        return bytes((tag, 0x80 | count)) + len(body).to_bytes(count, "big") + body
    return tlv(tag, body)
