"""Keys per hospital and epoch."""

from __future__ import annotations

import copy
import pickle

import pytest

from domain.ed25519 import verify_signature
from domain.identifiers import decode_bytes
from patient_wallet.keys import derive
from patient_wallet.words import Seed

SEED = Seed(bytes(range(64)))


def test_the_same_seed_gives_the_same_keys() -> None:
    assert derive(SEED, "AMSP", 1).public == derive(Seed(bytes(range(64))), "AMSP", 1).public


def test_no_field_is_equal_across_hospitals_or_epochs() -> None:
    several = [derive(SEED, msp, epoch).public for msp in ("AMSP", "BMSP") for epoch in (1, 2)]
    assert len({key for keys in several for key in (keys.signing, keys.wrap)}) == 8


def test_keys_do_not_show_and_cannot_be_copied() -> None:
    keys = derive(SEED, "AMSP", 1)
    assert keys.signing_seed.hex() not in repr(keys)
    assert repr(keys.signing_seed) not in repr(keys)
    assert "secret" not in repr(SEED)
    for secret in (keys, SEED):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        with pytest.raises(TypeError):
            copy.copy(secret)


def test_derivation_is_fixed_for_ever() -> None:
    public = derive(SEED, "AMSP", 1).public
    assert public.signing == "pH6MoSdZBWmDRDPgVYEsTAKQlF2aH0y9_6xt583oBwU"
    assert public.wrap == "dkvJYAYfcE7N4hpZ4DXMd6vw3C5J0LMrExe5cTOgYXM"


def test_a_signature_verifies_under_the_public_key() -> None:
    keys = derive(SEED, "AMSP", 1)
    signature = decode_bytes(keys.sign("医链"), "signature")
    verify_signature(decode_bytes(keys.public.signing, "signing"), signature, "医链".encode())
