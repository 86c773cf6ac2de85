from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import Denied
from domain.identifiers import encode_bytes
from node_service.client.proofs import client_assertion, dpop_proof, key_thumbprint
from node_service.sharing import assertions, dpop

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
URL = "http://127.0.0.1:8001/wallet/records"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def proof(key: Ed25519PrivateKey = KEY) -> str:
    return dpop_proof(PUBLIC, key.sign, token="t", method="GET", url=URL, now_s=NOW.timestamp())


def test_the_node_accepts_a_proof_and_finds_its_key() -> None:
    verified = dpop.verify_proof(proof(), token="t", method="GET", url=URL, now=NOW)
    assert verified.key_thumbprint == key_thumbprint(PUBLIC)


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # RFC 8037 appendix A.2, thumbprint in A.3
    public = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    ).public_key()
    assert encode_bytes(public.public_bytes_raw()) == x
    assert key_thumbprint(public.public_bytes_raw()) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_two_proofs_are_never_the_same() -> None:
    assert proof() != proof()


def test_a_proof_signed_by_another_key_than_it_names_is_refused() -> None:
    with pytest.raises(Denied):
        dpop.verify_proof(proof(Ed25519PrivateKey.generate()), token="t", method="GET", url=URL, now=NOW)


def test_another_hospital_accepts_the_assertion_for_itself_only() -> None:
    assertion = client_assertion("AMSP", "signing-1", KEY.sign, audience="BMSP", now_s=NOW.timestamp())
    claimed = assertions.read_claimed(assertion)
    assert (claimed.msp_id, claimed.kid) == ("AMSP", "signing-1")
    assertions.verify_assertion(assertion, PUBLIC, claimed, own_msp="BMSP", now=NOW)
    with pytest.raises(Denied):
        assertions.verify_assertion(assertion, PUBLIC, claimed, own_msp="CMSP", now=NOW)
