"""Keys in a token: SoftHSM, which has the module interface of a hardware security module."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from network.blocks.signature import verify_signature
from network.fabric.gateway import Identity, Signer, SigningError, connect, plain_channel
from network.fabric.gateway.pkcs11_token import Pkcs11Token
from tests.softhsm import LABEL, PIN, public_key, softhsm
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.test_signers import HALF_ORDERS

MESSAGE = b"the message"
KEYS = {b"p256": "secp256r1", b"p384": "secp384r1", b"p521": "secp521r1"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A token of this module's own, with a key of each curve."""
    with softhsm(tmp_path_factory.mktemp("softhsm"), KEYS) as library:
        yield library


@pytest.fixture
def token(library: Path) -> Iterator[Pkcs11Token]:
    with Pkcs11Token.open(library, label=LABEL, pin=PIN) as token:
        yield token


def sign(signer: Signer, message: bytes) -> bytes:
    return signer(signer.hash(message))


@pytest.mark.parametrize("key_id", [b"p256", b"p384"])
def test_a_token_signs_with_low_s_as_fabric_verifies_it(library: Path, token: Pkcs11Token, key_id: bytes) -> None:
    signer, key = token.signer(key_id), public_key(library, key_id)
    for number in range(10):
        message = MESSAGE + bytes([number])
        signature = sign(signer, message)
        verify_signature(key, signature, message)
        assert decode_dss_signature(signature)[1] <= HALF_ORDERS[KEYS[key_id]]


def test_threads_share_a_signer(library: Path, token: Pkcs11Token) -> None:
    signer, key = token.signer(b"p256"), public_key(library, b"p256")
    messages = [MESSAGE + bytes([number]) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for message, signature in zip(messages, pool.map(lambda item: sign(signer, item), messages), strict=True):
            verify_signature(key, signature, message)


def test_a_gateway_signs_with_a_token(library: Path, token: Pkcs11Token, identity: Identity) -> None:
    with plain_channel("127.0.0.1:1") as channel:
        gateway = connect(channel, identity, token.signer(b"p256"))
        proposal = gateway.get_network(CHANNEL).get_contract(CHAINCODE).new_proposal("Read")
        unsigned = proposal.serialize()
        proposal.sign()
    assert proposal.is_signed
    assert proposal.serialize() != unsigned


@pytest.mark.parametrize("key_id", [b"p521", b"nobody's"])
def test_a_key_that_is_not_there_or_of_another_kind_is_refused(token: Pkcs11Token, key_id: bytes) -> None:
    with pytest.raises(SigningError):
        token.signer(key_id)


@pytest.mark.parametrize(("label", "pin"), [(LABEL, "4321"), ("mingde", PIN)], ids=["pin", "label"])
def test_a_token_opens_with_its_label_and_pin_alone(library: Path, label: str, pin: str) -> None:
    with pytest.raises(SigningError) as caught:
        Pkcs11Token.open(library, label=label, pin=pin)
    assert pin not in str(caught.value)


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningError):
        Pkcs11Token.open(tmp_path / "none.so", label=LABEL, pin=PIN)


def test_a_closed_token_signs_no_more_and_opens_again(library: Path) -> None:
    for _ in range(2):
        with Pkcs11Token.open(library, label=LABEL, pin=PIN) as token:
            signer = token.signer(b"p256")
            assert sign(signer, MESSAGE)
        with pytest.raises(SigningError):
            sign(signer, MESSAGE)


def test_a_second_login_of_the_process_is_refused(library: Path, token: Pkcs11Token) -> None:
    with pytest.raises(SigningError, match="UserAlreadyLoggedIn"):
        Pkcs11Token.open(library, label=LABEL, pin=PIN)
    assert sign(token.signer(b"p256"), MESSAGE)
