"""Certificates that only a hostile member makes: read as Go reads them, and never with an untyped exception."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import Denied, Invalid
from network.blocks import member
from network.blocks.certificate import RsaKey, read_certificate
from network.blocks.member import verify_member
from network.blocks.msp import parse_msp
from network.blocks.policy import SignedData, signers
from tests.interop.certificates.forms import MSP, Case, issued, leaf, plain_world, rsa_spki, sign

LARGE = (1 << 2047) + 1
REFUSED = {
    "negative modulus": (-LARGE, 65537),
    "no modulus": (0, 65537),
    "negative exponent": (LARGE, -65537),
    "no exponent": (LARGE, 0),
    "exponent of 64 bits": (LARGE, 1 << 63),
    "huge exponent": (LARGE, (1 << 3000) + 1),
}
TAKEN = {
    "tiny": (15, 3),
    "even modulus": (LARGE - 1, 65537),
    "exponent of one": (LARGE, 1),
    "even exponent": (LARGE, 65536),
    "largest exponent": (LARGE, (1 << 63) - 1),
    "exponent beyond the modulus": (15, 65537),
    "huge modulus": ((1 << 60_000) - 1, 3),
}


def _der(modulus: int, exponent: int) -> bytes:
    world = plain_world()
    return sign(replace(leaf(world), key=rsa_spki(modulus, exponent)).encode(), world.issuer.key)


def _case(modulus: int, exponent: int) -> Case:
    return issued("RSA", replace(leaf(plain_world()), key=rsa_spki(modulus, exponent)))


@pytest.mark.parametrize("what", REFUSED)
def test_rsa_keys_that_go_refuses_are_refused(what: str) -> None:
    with pytest.raises(Invalid):
        read_certificate(_der(*REFUSED[what]))


@pytest.mark.parametrize("what", TAKEN)
def test_rsa_keys_that_go_takes_are_read(what: str) -> None:
    assert read_certificate(_der(*TAKEN[what])).public_key == RsaKey(*TAKEN[what])


@pytest.mark.parametrize("what", [*REFUSED, *TAKEN])
def test_nobody_signs_with_an_rsa_key(what: str) -> None:
    judged = _case(*{**REFUSED, **TAKEN}[what])
    with pytest.raises(Denied):
        verify_member(judged.identity, {MSP: parse_msp(judged.config)})
    assert signers([SignedData(b"", judged.identity, b"")], {MSP: parse_msp(judged.config)}) == []


def test_an_exception_that_nobody_has_met_makes_no_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(_raw: bytes) -> None:
        raise OverflowError("can't convert negative int to unsigned")

    monkeypatch.setattr(member, "parse_identity", surprise)
    judged = issued("plain", leaf(plain_world()))
    with pytest.raises(Denied) as caught:
        verify_member(judged.identity, {MSP: parse_msp(judged.config)})
    assert caught.value.reason == "bad-identity"


def test_too_little_memory_says_nothing_about_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_raw: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(member, "parse_identity", exhausted)
    with pytest.raises(MemoryError):
        verify_member(b"", {})
