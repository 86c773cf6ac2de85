"""Lists of revoked certificates that peers take, whatever is odd about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.errors import Denied, Invalid
from network.blocks.member import verify_member
from network.blocks.msp import parse_msp
from network.blocks.revocation import read_revocations
from tests.interop.certificates.forms import (
    AKI,
    MSP,
    UNKNOWN,
    Extension,
    integer,
    issued,
    leaf,
    pem,
    plain_world,
    tlv,
)
from tests.interop.certificates.revocations import HOLDER, body, key_name, signed

ODD: dict[str, Callable[[], bytes]] = {
    "in DER": lambda: signed(body()),
    "an extension twice": lambda: signed(body((key_name(), Extension(UNKNOWN, b"x"), Extension(UNKNOWN, b"x")))),
    "an issuer of X.400": lambda: signed(body((key_name(1, tlv(0xA1, tlv(0xA3, b"")), tlv(0x82, b"\1")),))),
    "version 1": lambda: signed(body(version=integer(0))),
    "version 3": lambda: signed(body(version=integer(2))),
    "a garbled number": lambda: signed(body((key_name(), Extension("2.5.29.20", b"\2")))),
    "a garbled place": lambda: signed(body((key_name(), Extension("2.5.29.28", b"junk")))),
    "bytes after the authority": lambda: signed(body((replace(key_name(), value=key_name().value + b"junk"),))),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_lists_revoke_as_they_do_at_peers(what: str) -> None:
    found = read_revocations(ODD[what]())
    assert (found.serials, found.authority) == (frozenset({HOLDER}), key_name().value[4:])
    world = replace(plain_world(), revocations=(ODD[what](),))
    judged, other = (
        issued("listed", leaf(world), world),
        issued("other", replace(leaf(world), serial=integer(7)), world),
    )
    msps = {MSP: parse_msp(judged.config)}
    with pytest.raises(Denied) as caught:
        verify_member(judged.identity, msps)
    assert caught.value.reason == "revoked"
    assert verify_member(other.identity, msps).identity.msp_id == MSP


def test_an_authority_that_cannot_be_read_is_none() -> None:
    for value in (b"junk", key_name(1, tlv(0xA2, b"\1")).value):
        assert read_revocations(signed(body((Extension(AKI, value),)))).authority is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"junk", signed(body())[:-1], signed(body()) + b"\0", b"text\n" + pem(signed(body()), "X509 CRL")],
    ids=["empty", "junk", "cut", "byte behind", "text before"],
)
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        read_revocations(raw)
    assert caught.value.reason == "bad-msp"
