"""What a member can say of its own MSP: families of hashes, units, administrators; and its certificate in odd PEM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from network.blocks.protos import identities, msp_config, parse_into, serialize
from tests.interop.certificates.forms import (
    MESSAGE,
    MIDDLE_NAME,
    P256_ORDER,
    Case,
    Pair,
    World,
    authority,
    deep_world,
    elliptic,
    issued,
    leaf,
    pem,
    plain_world,
    sign,
)

ROLES: Final = ("client", "peer", "admin", "orderer")
ASKED: Final = (
    (("client", 0),),
    (("client", 1),),
    (("x", 0),),
    (("x", 0), ("client", 1)),
    (("client", 0), ("client", 1)),
)
FAMILIES: Final = ("", "SHA2", "SHA3", "SHA9")
IDENTIFIERS: Final = ("", "SHA256", "SHA384", "SHA3_256", "SHA3_384", "SHA1")
Edit = Callable[[Any], None]


def edited(judged: Case, edit: Edit, kind: str) -> Case:
    """The case with its MSP's definition changed."""
    config = parse_into(msp_config.MSPConfig(), judged.config, "MSPConfig")
    fabric = parse_into(msp_config.FabricMSPConfig(), config.config, "FabricMSPConfig")
    edit(fabric)
    config.config = serialize(fabric)
    return replace(judged, kind=kind, config=serialize(config))


def _sha3() -> bytes:
    r, s = decode_dss_signature(elliptic(9).sign(MESSAGE, ec.ECDSA(hashes.SHA3_256())))
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def configurations() -> Iterator[Case]:
    yield from _hashes()
    yield from _role_units()
    yield from _asked_units()
    yield from _administrators()


def _hashes() -> Iterator[Case]:
    plain = issued("", leaf(plain_world()))
    for family, identifier in product(FAMILIES, IDENTIFIERS):

        def edit(fabric: Any, family: str = family, identifier: str = identifier) -> None:
            fabric.crypto_config.signature_hash_family = family
            fabric.crypto_config.identity_identifier_hash_function = identifier

        yield edited(plain, edit, f"signed with SHA-2, {family} {identifier}")
        yield edited(replace(plain, signed=_sha3()), edit, f"signed with SHA-3, {family} {identifier}")


def _role_units() -> Iterator[Case]:
    """Roles of one name, roles that are missing or without a name, other authorities for one of two."""
    for world, kind in ((plain_world(), "plain"), (deep_world(), "deep")):
        for names in (("a", "a", "b", "c"), ("a", "a", "a", "a"), ("a", "b", "b", "c"), ("", "b", "admin", "c")):
            for units in (("a",), ("b",), ("",), ("a", "b"), ("a", "a"), ("c",)):
                for issuer in (None, *range(4)):
                    judged = issued("", leaf(world, *units), world)
                    yield edited(judged, _naming(names, issuer, world), f"{kind} {names} {units} {issuer}")
    for kept in (("admin",), ("admin", "client"), ("admin", "peer"), ROLES[:3], ()):

        def edit(fabric: Any, kept: tuple[str, ...] = kept) -> None:
            for role in ROLES:
                if role not in kept:
                    fabric.fabric_node_ous.ClearField(f"{role}_ou_identifier")
            fabric.admins.append(_administrator(plain_world(), "admin"))

        for unit in ROLES:
            yield edited(issued("", leaf(plain_world(), unit)), edit, f"only {kept}, {unit}")


def _naming(names: tuple[str, ...], issuer: int | None, world: World) -> Edit:
    def edit(fabric: Any) -> None:
        for number, (role, name) in enumerate(zip(ROLES, names, strict=True)):
            unit = getattr(fabric.fabric_node_ous, f"{role}_ou_identifier")
            unit.organizational_unit_identifier = name
            if number == issuer:
                unit.certificate = pem(world.roots[0].der)

    return edit


def _asked_units() -> Iterator[Case]:
    root = authority()
    other = authority(60, MIDDLE_NAME)
    deep = deep_world()
    for world, kind in ((World((root, other)), "two roots"), (deep, "deep"), (World((other, root)), "other way")):
        authorities = (*world.roots, *world.intermediates)
        for asked in ASKED:
            for units in (("client",), ("client", "x"), ("x",), ("peer",)):
                judged = issued("", leaf(world, *units), world)
                ask = _asking(asked, authorities)
                yield edited(judged, ask, f"asks for {kind} {asked}, has {units}")
                without = edited(judged, ask, f"asks without roles for {kind} {asked}, has {units}")
                yield edited(without, _without_roles(world), without.kind)


def _without_roles(world: World) -> Edit:
    def edit(fabric: Any) -> None:
        fabric.fabric_node_ous.enable = False
        fabric.admins.append(_administrator(world, "x", "client"))

    return edit


def _asking(asked: tuple[tuple[str, int], ...], authorities: tuple[Pair, ...]) -> Edit:
    def edit(fabric: Any) -> None:
        for name, number in asked:
            unit = fabric.organizational_unit_identifiers.add()
            unit.organizational_unit_identifier = name
            unit.certificate = pem(authorities[number].der)

    return edit


def _administrator(world: World, *units: str, number: int = 8) -> bytes:
    return pem(sign(leaf(world, *units, number=number).encode(), world.issuer.key))


def _administrators() -> Iterator[Case]:
    world = plain_world()
    plain = issued("", leaf(world))
    itself = parse_into(identities.SerializedIdentity(), plain.identity, "SerializedIdentity").id_bytes
    for label, listed in {
        "itself": itself,
        "another client": _administrator(world, "client"),
        "an administrator": _administrator(world, "admin"),
        "a peer": _administrator(world, "peer"),
        "the authority": pem(world.roots[0].der),
        "junk": b"junk",
        "another label": itself.replace(b"CERTIFICATE", b"X"),
    }.items():
        yield edited(plain, _listing(listed), f"administrator {label}")


def _listing(administrator: bytes) -> Callable[[Any], None]:
    def edit(fabric: Any) -> None:
        fabric.admins.append(administrator)

    return edit


def forms_of_pem() -> Iterator[Case]:
    """The bytes around a certificate are anybody's choice who writes an identity into a transaction."""
    plain = issued("", leaf(plain_world()))
    message = parse_into(identities.SerializedIdentity(), plain.identity, "SerializedIdentity")
    text: bytes = message.id_bytes
    head = b"-----BEGIN CERTIFICATE-----\n"
    for label, raw in {
        "headers": text.replace(head, head + b"Proc-Type: 4,ENCRYPTED\nA: b:c\n\n"),
        "headers without an empty line": text.replace(head, head + b":\n"),
        "many headers": text.replace(head, head + b"a:\n" * 10_000),
        "another label": text.replace(b"CERTIFICATE", b"X"),
        "no label": text.replace(b"CERTIFICATE", b""),
        "text around": b"text\n" + text + b"text",
        "an empty block before": b"-----BEGIN A-----\n-----END A-----\n" + text,
        "junk before": b"-----BEGIN A-----\n!\n-----END A-----\n" + text,
        "carriage returns": text.replace(b"\n", b"\r\n"),
        "spaces": text.replace(b"\nM", b"\n \tM "),
        "one line": head + b"".join(text.splitlines()[1:-1]) + b"\n-----END CERTIFICATE-----",
        "no line before the end": text.replace(b"\n-----END", b"-----END"),
        "vertical tab": text.replace(b"\nM", b"\n\x0bM"),
        "text behind the end": text[:-1] + b" x\n",
        "space behind the end": text[:-1] + b" \t\n",
        "other end": text.replace(b"END CERTIFICATE", b"END X"),
        "padding": text.replace(b"\n-----END", b"=\n-----END"),
        "colon within": text.replace(b"\nM", b"\nM:", 1),
        "DER": b"\x30",
    }.items():
        message.id_bytes = raw
        yield replace(plain, kind=label, identity=serialize(message))
