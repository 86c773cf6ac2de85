"""The extensions of a certificate that decide whether it counts (Go ``crypto/x509`` parser.go, processExtensions)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from network.blocks import der
from network.blocks.der import Reader, malformed

KEY_CERT_SIGN: Final = 5
_ARCS: Final = bytes.fromhex("551d")
_INFORMATION_ACCESS: Final = bytes.fromhex("2b06010505070101")
_ANY_USE: Final = bytes.fromhex("551d2500")
_SERVER_USE: Final = bytes.fromhex("2b06010505070301")
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_KINDS: Final = frozenset((_EMAIL, _DNS, _URI, _IP))
_ADDRESS_BYTES: Final = (4, 16)
_RANGE_BYTES: Final = (8, 32)
_PREFIXES: Final = frozenset((0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE))
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST: Final = re.compile(rb"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*(:[0-9]{1,5})?|")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Extensions:
    """What extensions say.

    Attributes:
        values: every extension's content by its OBJECT IDENTIFIER.
        has_unhandled: a critical one is unknown.
        constrains: basic constraints are there; ``is_authority`` and ``max_path`` are what they say.
        uses: numbers of the bits of the key usage; None where nothing is said or no bit is set.
        serves: the extended key usage, where it names anything, has "server authentication" or "any": Fabric asks for
            nothing in particular, and Go then asks for this.
        names: which kinds of alternative names are held; ``limited`` which kinds are constrained.
    """

    values: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    has_unhandled: bool = False
    constrains: bool = False
    is_authority: bool = False
    max_path: int | None = None
    uses: frozenset[int] | None = None
    serves: bool = True
    names: frozenset[int] = frozenset()
    limited: frozenset[int] | None = None

    @property
    def alternative_names(self) -> bytes | None:
        return self.values.get(_ARCS + b"\x11")

    @property
    def key_identifier(self) -> bytes | None:
        """Content of the subject key identifier's OCTET STRING."""
        raw = self.values.get(_ARCS + b"\x0e")
        return None if raw is None else Reader(raw).read(der.OCTET_STRING)


def read_extensions(listed: Reader) -> Extensions:
    """Read ``Extensions``.

    Raises:
        Invalid: one is malformed or there twice.
    """
    values: dict[bytes, bytes] = {}
    known = Extensions(values)
    while not listed.is_empty:
        item = listed.inner(der.SEQUENCE)
        kind = item.oid()
        critical = item.boolean() if item.peek(der.BOOLEAN) else False
        if kind in values or (critical and kind in _NEVER_CRITICAL):
            raise malformed("list of extensions")
        values[kind] = item.read(der.OCTET_STRING)
        known, is_handled = _READINGS.get(kind, _unknown)(values[kind], known)
        if critical and not is_handled:
            known = replace(known, has_unhandled=True)
    return known


_Read = tuple[Extensions, bool]
"""What is known now, and whether the extension was one that Go handles."""


def _unknown(_raw: bytes, known: Extensions) -> _Read:
    return known, False


def _key_usage(raw: bytes, known: Extensions) -> _Read:
    octets, _ = Reader(raw).bits()
    held = {number for number in range(min(9, 8 * len(octets))) if octets[number // 8] >> (7 - number % 8) & 1}
    return replace(known, uses=frozenset(held) or None), True


def _basic_constraints(raw: bytes, known: Extensions) -> _Read:
    reader = Reader(raw).inner(der.SEQUENCE)
    is_authority = reader.boolean() if reader.peek(der.BOOLEAN) else False
    length = reader.integer() if reader.peek(der.INTEGER) else None
    if length is not None and not 0 <= length < 1 << 63:
        raise malformed("path length")
    return replace(known, constrains=True, is_authority=is_authority, max_path=length), True


def _alternative_names(raw: bytes, known: Extensions) -> _Read:
    reader, held = Reader(raw).inner(der.SEQUENCE), set()
    while not reader.is_empty:
        tag, value, _ = reader.element()
        if tag in _KINDS:
            _check_name(tag, value)
            held.add(tag)
    return replace(known, names=frozenset(held)), bool(held)


def _check_name(tag: int, value: bytes) -> None:
    if tag == _IP:
        fits = len(value) in _ADDRESS_BYTES
    elif tag == _URI:
        fits = _is_uri(value)
    else:
        fits = value.isascii()
    if not fits:
        raise malformed("alternative name")


def _is_uri(value: bytes) -> bool:
    """What Go's ``url.Parse`` takes, but for users, addresses in brackets and odd hosts, which are refused here."""
    if not value.isascii() or any(octet < 0x20 or octet == 0x7F for octet in value):
        return False
    rest, _, fragment = value.partition(b"#")
    scheme = _SCHEME.match(rest)
    rest = rest[scheme.end() :] if scheme else rest
    if _BAD_ESCAPE.search(fragment):
        return False
    path = rest.partition(b"?")[0]
    if not path.startswith(b"/"):
        return scheme is not None or (b":" not in path.partition(b"/")[0] and not _BAD_ESCAPE.search(path))
    if path.startswith(b"//") and (scheme or not path.startswith(b"///")):
        host, _, path = path[2:].partition(b"/")
        if not _HOST.fullmatch(host):
            return False
    return not _BAD_ESCAPE.search(path)


def _name_constraints(raw: bytes, known: Extensions) -> _Read:
    outer = Reader(raw)
    reader = outer.inner(der.SEQUENCE)
    trees = [reader.optional(tag) or b"" for tag in (0xA0, 0xA1)]
    if not (outer.is_empty and reader.is_empty and any(trees)):
        raise malformed("name constraint")
    kinds: set[int] = set()
    for tree in map(Reader, trees):
        while not tree.is_empty:
            tag, value, _ = tree.inner(der.SEQUENCE).element()
            if tag in _KINDS:
                _check_constraint(tag, value)
            kinds.add(tag)
    return replace(known, limited=frozenset(kinds & _KINDS)), kinds <= _KINDS


def _check_constraint(tag: int, value: bytes) -> None:
    if tag == _IP:
        half = len(value) // 2
        fits = len(value) in _RANGE_BYTES and _is_mask(value[half:])
    else:
        fits = _is_domain(value)
    if not fits:
        raise malformed("name constraint")


def _is_mask(mask: bytes) -> bool:
    rest = mask.lstrip(b"\xff")
    return not rest or (rest[0] in _PREFIXES and not any(rest[1:]))


def _is_domain(value: bytes) -> bool:
    if not value:
        return True
    labels = value.removeprefix(b".").split(b".")
    return all(
        label and len(label) <= 63 and all(33 <= octet <= 126 and octet != 0x40 for octet in label) for label in labels
    )


def _extended_key_usage(raw: bytes, known: Extensions) -> _Read:
    reader, named = Reader(raw).inner(der.SEQUENCE), set()
    while not reader.is_empty:
        named.add(reader.oid())
    return replace(known, serves=not named or not named.isdisjoint((_ANY_USE, _SERVER_USE))), True


def _key_identifier(raw: bytes, known: Extensions) -> _Read:
    Reader(raw).read(der.OCTET_STRING)
    return known, True


def _authority_key_identifier(raw: bytes, known: Extensions) -> _Read:
    reader = Reader(raw).inner(der.SEQUENCE)
    reader.optional(0x80)
    return known, True


def _information_access(raw: bytes, known: Extensions) -> _Read:
    reader = Reader(raw).inner(der.SEQUENCE)
    while not reader.is_empty:
        access = reader.inner(der.SEQUENCE)
        access.oid()
        access.optional(_URI)
    return known, True


def _policies(raw: bytes, known: Extensions) -> _Read:
    reader, seen = Reader(raw).inner(der.SEQUENCE), set()
    while not reader.is_empty:
        policy = reader.inner(der.SEQUENCE).oid()
        if policy in seen:
            raise malformed("list of policies")
        seen.add(policy)
    return known, True


def _distribution_points(raw: bytes, known: Extensions) -> _Read:
    reader = Reader(raw).inner(der.SEQUENCE)
    while not reader.is_empty:
        name = reader.inner(der.SEQUENCE).optional(0xA0)
        if name is not None:
            names = Reader(name).inner(0xA0)
            while not names.is_empty and names.peek(_URI):
                names.read(_URI)
    return known, True


def _refused(_raw: bytes, _known: Extensions) -> _Read:
    """Releases of Go differ about what these do to a chain; no authority of a hospital uses them."""
    raise malformed("use of certificate policies")


_READINGS: Final[Mapping[bytes, Callable[[bytes, Extensions], _Read]]] = {
    _ARCS + b"\x0e": _key_identifier,
    _ARCS + b"\x0f": _key_usage,
    _ARCS + b"\x11": _alternative_names,
    _ARCS + b"\x13": _basic_constraints,
    _ARCS + b"\x1e": _name_constraints,
    _ARCS + b"\x1f": _distribution_points,
    _ARCS + b"\x20": _policies,
    _ARCS + b"\x21": _refused,
    _ARCS + b"\x23": _authority_key_identifier,
    _ARCS + b"\x24": _refused,
    _ARCS + b"\x25": _extended_key_usage,
    _ARCS + b"\x36": _refused,
    _INFORMATION_ACCESS: _information_access,
}
_NEVER_CRITICAL: Final = frozenset((_ARCS + b"\x0e", _ARCS + b"\x23", _INFORMATION_ACCESS))
