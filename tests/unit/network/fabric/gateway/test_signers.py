"""Signers: what each signs, low S, and keys that are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from network.blocks.signature import verify_signature
from network.fabric.gateway import Identity, MalformedError, connect, plain_channel, private_key_signer
from network.fabric.gateway.signers import none, sha3_256, sha3_384, sha256, sha384
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, Authority

HALF_ORDERS = {
    "secp256r1": 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8,
    "secp384r1": 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFE3B1A6C0FA1B96EFAC0D06D9245853BD76760CB5666294B9,
}
"""Half the order of each curve (SEC 2, 2.4.2 and 2.5.1): the bound of a low S."""
MESSAGE = b"the message"


def pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=["P-256", "P-384"])
def test_ecdsa_signs_the_digest_with_low_s_as_fabric_verifies_it(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    signer = private_key_signer(pem(key))
    for number in range(20):
        message = MESSAGE + bytes([number])
        signature = signer(signer.hash(message))
        verify_signature(key.public_key(), signature, message)
        assert decode_dss_signature(signature)[1] <= HALF_ORDERS[curve.name]


def test_ed25519_signs_the_message_itself() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signer = private_key_signer(pem(key))
    assert signer.hash is none
    verify_signature(key.public_key(), signer(signer.hash(MESSAGE)), MESSAGE)


def test_a_gateway_takes_the_hash_of_its_signer(identity: Identity) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    with plain_channel("127.0.0.1:1") as channel:
        gateway = connect(channel, identity, private_key_signer(pem(key)))
        proposal = gateway.get_network(CHANNEL).get_contract(CHAINCODE).new_proposal("Read")
        assert len(proposal.digest) > 64
        explicit = connect(channel, identity, private_key_signer(pem(key)), hash=sha384)
        assert len(explicit.new_proposal(proposal.serialize()).digest) == 48
        plain = connect(channel, identity, lambda digest: b"")
        assert len(plain.new_proposal(proposal.serialize()).digest) == 32


@pytest.mark.parametrize(
    ("hash_of", "expected"),
    [
        (none, MESSAGE.hex()),
        (sha256, "c9946a075fd077dde6476a4669e543ca6bcd59064ccc1173477f7b4c9d005825"),
    ],
    ids=["none", "sha256"],
)
def test_hashes(hash_of: Callable[[bytes], bytes], expected: str) -> None:
    assert hash_of(MESSAGE).hex() == expected


@pytest.mark.parametrize("hash_of", [sha384, sha3_384])
def test_other_digests_can_be_signed(hash_of: Callable[[bytes], bytes]) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    assert len(hash_of(MESSAGE)) == 48
    assert private_key_signer(pem(key))(hash_of(MESSAGE))
    assert len(sha3_256(MESSAGE)) == 32


def test_what_is_no_digest_is_refused() -> None:
    signer = private_key_signer(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(MalformedError, match="digest"):
        signer(MESSAGE)


@pytest.mark.parametrize(
    "raw",
    [b"", b"no PEM", pem(ec.generate_private_key(ec.SECP521R1())), pem(rsa.generate_private_key(65537, 2048))],
    ids=["empty", "text", "P-521", "RSA"],
)
def test_other_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        private_key_signer(raw)


def test_an_encrypted_key_opens_with_its_password_alone() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    raw = pem(key, BestAvailableEncryption(b"password"))
    verify_signature(key.public_key(), private_key_signer(raw, b"password")(sha256(MESSAGE)), MESSAGE)
    for password in (None, b"another"):
        with pytest.raises(MalformedError):
            private_key_signer(raw, password)


def test_a_signer_does_not_show_its_key() -> None:
    signer = private_key_signer(pem(ec.generate_private_key(ec.SECP256R1())))
    assert "PrivateKey" not in repr(signer)


def test_an_identity_needs_a_certificate(holder: Authority) -> None:
    assert Identity("RenheMSP", holder.pem) == Identity.of("RenheMSP", holder.certificate)
    with pytest.raises(MalformedError):
        Identity("RenheMSP", b"no certificate")
