"""Published vectors through the very functions that seal, derive, agree and sign (PyPI ``cryptography-vectors``).

NIST CAVS for AES-256-GCM, RFC 5869, RFC 7748, the Ed25519 vectors of Bernstein et al., RFC 9180, and the hybrid's of
draft-ietf-hpke-pq.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.ed25519 import verify_signature
from domain.errors import Tampered
from domain.x25519 import check_public_key
from offchain.envelope.hpke import _SUITES, HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey
from offchain.envelope.keys import DataKey, derive_object_keys
from tests.conformance.verdicts.sealed_messages import labeled_expand, labeled_extract, schedule

VECTORS = Path(cryptography_vectors.__file__).parent
RFC_HPKE, PQ_HPKE = "test-vectors.json", "hpke-pq-test-vectors.json"
HYBRID_SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + b"\x00\x01\x00\x02"


def blocks(path: str) -> list[dict[str, str]]:
    """The cases of a file of ``NAME = value`` lines, each begun by its COUNT; a line without a value is noted too."""
    found: list[dict[str, str]] = []
    for line in (VECTORS / path).read_text().splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name.upper() == "COUNT":
            found.append({})
        elif name and name[0] not in "#[":
            found[-1][name.upper()] = value
    return found


def gcm_cases(path: str) -> list[dict[str, bytes]]:
    """Cases with a nonce of 96 and a tag of 128 bits, as the sealed format has them."""
    found = []
    for case in blocks(path):
        if len(case["IV"]) == 24 and len(case["TAG"]) == 32:
            found.append({name: bytes.fromhex(value) for name, value in case.items() if name != "FAIL"})
    return found


def test_aes_256_gcm_opens_what_nist_says_and_refuses_the_rest() -> None:
    cases = gcm_cases("ciphers/AES/GCM/gcmDecrypt256.rsp")
    opened = 0
    for case in cases:
        try:
            plain = AESGCM(case["KEY"]).decrypt(case["IV"], case["CT"] + case["TAG"], case["AAD"])
        except InvalidTag:
            assert "PT" not in case
            continue
        assert plain == case["PT"]
        opened += 1
    assert (len(cases), 0 < opened < len(cases)) == (375, True)


def test_aes_256_gcm_seals_to_the_bytes_that_nist_says_also_into_a_buffer() -> None:
    cases = gcm_cases("ciphers/AES/GCM/gcmEncryptExtIV256.rsp")
    assert len(cases) == 375
    for case in cases:
        expected, buffer = case["CT"] + case["TAG"], bytearray(len(case["PT"]) + 16)
        assert AESGCM(case["KEY"]).encrypt(case["IV"], case["PT"], case["AAD"]) == expected
        AESGCM(case["KEY"]).encrypt_into(case["IV"], case["PT"], case["AAD"], buffer)
        assert buffer == expected


def test_hkdf_sha_256_gives_the_output_of_rfc_5869() -> None:
    cases = blocks("KDF/rfc-5869-HKDF-SHA256.txt")
    assert len(cases) == 3
    for case in cases:
        values = {name: bytes.fromhex(case[name]) for name in ("IKM", "SALT", "INFO", "OKM")}
        derived = HKDF(SHA256(), len(values["OKM"]), values["SALT"] or None, values["INFO"]).derive(values["IKM"])
        assert derived == values["OKM"]


def test_the_keys_of_an_object_are_hkdf_written_out() -> None:
    """Extract and expand of RFC 5869 section 2, from HMAC alone."""
    key, salt, head = DataKey(bytes(range(32))), bytes(range(32, 64)), b"header"
    prk = hashlib_hmac(salt, key.reveal())
    output, block = b"", b""
    for number in (1, 2, 3):
        block = hashlib_hmac(prk, block + head + bytes([number]))
        output += block
    keys = derive_object_keys(key, salt, head)
    assert keys.file_key + keys.nonce_prefix + keys.commitment == output[:71]


def hashlib_hmac(key: bytes, message: bytes) -> bytes:
    """RFC 2104."""
    inner, outer = (bytes(byte ^ pad for byte in key.ljust(64, b"\x00")) for pad in (0x36, 0x5C))
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).digest()


def test_x25519_agrees_as_rfc_7748_says() -> None:
    cases = [
        case for case in blocks("asymmetric/X25519/rfc7748.txt") if "MAX_ITERATIONS" not in case and "OUTPUT_U" in case
    ]
    assert len(cases) >= 2
    for case in cases:
        public = check_public_key(bytes.fromhex(case["INPUT_U"]), "input")
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["INPUT_SCALAR"]))
        assert private.exchange(X25519PublicKey.from_public_bytes(public)).hex() == case["OUTPUT_U"]


def test_every_published_ed25519_signature_verifies_strictly_and_for_its_message_alone() -> None:
    lines = (VECTORS / "asymmetric/Ed25519/sign.input").read_text().splitlines()
    assert len(lines) == 1024
    for line in lines:
        secret, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        verify_signature(public, signed[:64], message)
        assert Ed25519PrivateKey.from_private_bytes(secret[:32]).sign(message) == signed[:64]
        with pytest.raises(Tampered):
            verify_signature(public, signed[:64], message + b"\x00")


# --- HPKE -----------------------------------------------------------------------------------------------------------


def hpke_case(name: str, *wanted: int) -> dict[str, Any]:
    """The vector of a mode, key encapsulation, key derivation and cipher."""
    cases: list[dict[str, Any]] = json.loads((VECTORS / "HPKE" / name).read_text())
    (case,) = [one for one in cases if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == wanted]
    return case


def test_hpke_x25519_opens_under_the_key_schedule_of_rfc_9180() -> None:
    """The single shot takes no associated data, so the message is made here, under the key that the RFC prints."""
    case = hpke_case(RFC_HPKE, 0, 0x20, 1, 2)
    plain = bytes.fromhex(case["encryptions"][0]["pt"])
    body = AESGCM(bytes.fromhex(case["key"])).encrypt(bytes.fromhex(case["base_nonce"]), plain, None)
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["skRm"]))
    assert RecipientPrivateKey(HPKE_X25519, private.private_bytes_raw()).public.raw.hex() == case["pkRm"]
    sealed, info = bytes.fromhex(case["enc"]) + body, bytes.fromhex(case["info"])
    assert _SUITES[HPKE_X25519].decrypt(sealed, private, info=info) == plain
    with pytest.raises(InvalidTag):
        _SUITES[HPKE_X25519].decrypt(sealed, private, info=info + b"!")


def test_the_schedule_written_out_in_the_tests_is_that_of_rfc_9180() -> None:
    case = hpke_case(RFC_HPKE, 0, 0x20, 1, 2)
    key, nonce = schedule(bytes.fromhex(case["shared_secret"]), bytes.fromhex(case["info"]))
    assert (key.hex(), nonce.hex()) == (case["key"], case["base_nonce"])


def test_the_hybrid_opens_under_the_shared_secret_of_its_draft() -> None:
    """The draft's vector has another cipher behind the same key encapsulation and derivation; the schedule is ours."""
    case = hpke_case(PQ_HPKE, 0, 0x647A, 1, 3)
    info, plain = bytes.fromhex(case["info"]), b"plain"
    expanded = hashlib.shake_256(bytes.fromhex(case["skRm"])).digest(96)
    mine = RecipientPrivateKey(HPKE_HYBRID, expanded)
    assert mine.public.raw.hex() == case["pkRm"]
    key, nonce = schedule(bytes.fromhex(case["shared_secret"]), info, HYBRID_SUITE)
    sealed = bytes.fromhex(case["enc"]) + AESGCM(key).encrypt(nonce, plain, None)
    private = MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    )
    assert _SUITES[HPKE_HYBRID].decrypt(sealed, private, info=info) == plain


def test_the_labels_of_the_hybrid_schedule_are_those_of_the_draft() -> None:
    case = hpke_case(PQ_HPKE, 0, 0x647A, 1, 3)
    suite = bytes.fromhex(case["suite_id"])
    assert suite[:-1] + b"\x02" == HYBRID_SUITE
    root = labeled_extract(suite, bytes.fromhex(case["shared_secret"]), b"secret", b"")
    context = b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"")
    context += labeled_extract(suite, b"", b"info_hash", bytes.fromhex(case["info"]))
    assert labeled_expand(suite, root, b"key", context, 32).hex() == case["key"]
