"""Odd certificates get the verdict of Fabric's peers (tests/interop/test_certificates.py asks their own code)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Denied, Invalid
from network.blocks.member import Member, verify_member
from network.blocks.msp import Role, parse_msp
from network.blocks.policy import SignedData, signers
from tests.interop.certificates import MESSAGE, MSP, Case, listed
from tests.interop.certificates.forms import (
    CA_EXTENSIONS,
    CLIENT,
    CN,
    ECDSA,
    LEAF_EXTENSIONS,
    MIDDLE_NAME,
    OU,
    P256_ORDER,
    PRINTABLE,
    SAN,
    SEQUENCE,
    SERVER,
    UNIVERSAL,
    UNKNOWN,
    Extension,
    World,
    attribute,
    authority,
    basic,
    bits,
    case,
    configuration,
    elliptic,
    generalized,
    integer,
    issued,
    key_usage,
    leaf,
    name,
    oid,
    plain_world,
    seal,
    sign,
    signature,
    tlv,
    usages,
    utc,
)

EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def member(judged: Case, *, takes_ed25519: bool = False) -> Member:
    return verify_member(judged.identity, {MSP: parse_msp(judged.config, takes_ed25519=takes_ed25519)})


def with_extensions(*more: Extension) -> Case:
    return issued("", replace(leaf(plain_world()), extensions=(*LEAF_EXTENSIONS, *more)))


def below(*roots: tuple[Extension, ...]) -> Case:
    """A holder below roots of one name and key, with these extensions."""
    world = World(tuple(authority(extensions=shape, serial=integer(at + 1)) for at, shape in enumerate(roots)))
    return issued("", leaf(world), world)


def third_below_a_short_path() -> Case:
    root = authority()
    second = authority(2, MIDDLE_NAME, root, extensions=(basic(ca=True, path=0), key_usage(5)))
    third = authority(3, name(attribute(CN, "third")), second)
    middle = World((root,), (second,))
    return case("", middle, sign(leaf(World((root,), (second, third))).encode(), third.key))


def begins(form: bytes) -> Case:
    return issued("", replace(leaf(plain_world()), validity=tlv(SEQUENCE, form, utc("350101000000Z"))))


def named(*attributes: bytes) -> Case:
    return issued("", replace(leaf(plain_world()), subject=name(*attributes)))


def limited() -> Case:
    limits = Extension("2.5.29.30", tlv(SEQUENCE, tlv(0xA1, tlv(SEQUENCE, tlv(0x82, b"other.example")))))
    world = World((authority(extensions=(*CA_EXTENSIONS, limits)),))
    return issued("", leaf(world), world)


def with_sha1() -> Case:
    world = plain_world()
    parts = replace(leaf(world), algorithm=tlv(SEQUENCE, oid(ECDSA[1])))
    return case("", world, sign(parts.encode(), world.issuer.key, 1))


REFUSED: dict[str, Callable[[], Case]] = {
    "the same role unit twice": lambda: issued("", leaf(plain_world(), "client", "client")),
    "an unknown critical extension": lambda: with_extensions(Extension(UNKNOWN, b"", critical=True)),
    "critical alternative names without one": lambda: with_extensions(Extension(SAN, tlv(SEQUENCE), critical=True)),
    "for TLS clients alone": lambda: with_extensions(usages(CLIENT)),
    "an authority for TLS clients alone": lambda: below((*CA_EXTENSIONS, usages(CLIENT))),
    "an authority that may not sign certificates": lambda: below((basic(ca=True), key_usage(6))),
    "below an authority below one that allows none": third_below_a_short_path,
    "two chains": lambda: below(CA_EXTENSIONS, CA_EXTENSIONS),
    "an authority that limits names, and a name like a host's": limited,
    "a type of string that peers do not read": lambda: named(attribute(OU, "client".encode("utf-32-be"), UNIVERSAL)),
    "a start at the end of time": lambda: begins(generalized("99991231235959Z")),
    "a time with a fraction": lambda: begins(generalized("20250101000000.5Z")),
    "a negative serial number": lambda: issued("", replace(leaf(plain_world()), serial=integer(-1))),
    "a curve of others": lambda: issued("", leaf(plain_world(), key=elliptic(9, 4))),
    "SHA-1": with_sha1,
    "Ed25519 where the channel has not V3_0": lambda: issued("", leaf(plain_world(), key=EDWARDS), key=EDWARDS),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_peers_refuse_is_refused(what: str) -> None:
    with pytest.raises((Denied, Invalid)):
        member(REFUSED[what]())


TAKEN: dict[str, Callable[[], Case]] = {
    "the first version": lambda: issued("", replace(leaf(plain_world()), version=b"", extensions=())),
    "a unit beside the role's": lambda: issued("", leaf(plain_world(), "ward", "client")),
    "an ampersand in a PrintableString": lambda: named(attribute(OU, "client"), attribute(CN, "a&b*", PRINTABLE)),
    "for TLS servers too": lambda: with_extensions(usages(CLIENT, SERVER)),
    "for no use in particular": lambda: with_extensions(Extension("2.5.29.37", tlv(SEQUENCE))),
    "a time without seconds": lambda: begins(utc("2501010000Z")),
    "another zone": lambda: begins(utc("250101020000+0100")),
    "two copies of one root": lambda: issued("", leaf(plain_world()), World((authority(), authority()))),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_peers_take_is_taken(what: str) -> None:
    assert Role.CLIENT in member(TAKEN[what]()).membership.roles


def test_ed25519_counts_where_the_channel_has_v3_0() -> None:
    judged = issued("", leaf(plain_world(), key=EDWARDS), key=EDWARDS)
    assert Role.CLIENT in member(judged, takes_ed25519=True).membership.roles


def test_a_certificate_whose_own_signature_is_turned_over_is_the_same_member() -> None:
    """Anybody can turn an ECDSA signature over; both forms signing together are one signer, not two."""
    world, algorithm = plain_world(), tlv(SEQUENCE, oid(ECDSA[256]))
    signed = leaf(world).encode()
    r, s = decode_dss_signature(signature(signed, world.issuer.key))
    forms = [
        case("", world, seal(signed, algorithm, bits(encode_dss_signature(r, value)))) for value in (s, P256_ORDER - s)
    ]
    assert forms[0].identity != forms[1].identity
    given = [SignedData(MESSAGE, item.identity, item.signed) for item in forms]
    assert len(signers(given, {MSP: parse_msp(configuration(world))})) == 1


def test_no_certificate_makes_the_verifier_stumble() -> None:
    verdicts = set()
    for judged in listed():
        try:
            verdicts.add(bool(member(judged).membership.roles))
        except (Denied, Invalid):
            verdicts.add(False)
    assert verdicts == {True, False}
