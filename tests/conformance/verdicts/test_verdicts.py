"""Python core and JavaScript wallet say the same about every case, and what the corpus says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from domain import jcs
from domain.ed25519 import verify_signature
from domain.errors import Invalid, Tampered
from offchain.envelope.hpke import HPKE_X25519, RecipientPrivateKey, RecipientPublicKey, hpke_open, hpke_seal
from tests.conformance.verdicts import corpora, sealed_messages
from tests.conformance.verdicts.texts import bytes_of, drawn

ROOT = Path(__file__).resolve().parents[3]
JUDGE = Path(__file__).with_name("judge.mjs")
PACKAGES = ROOT / "patient_wallet" / "node_modules" / "@noble"
DRAWN, SEED = 4_000, 20260301
TIMEOUT_S = 120


def corpus(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((corpora.FOLDER / name).read_text())
    return found


SIGNATURES, TEXTS, MESSAGES = map(corpus, ("ed25519-strict.json", "jcs-strict.json", "hpke-x25519.json"))


@pytest.fixture(scope="module")
def node() -> str:
    """The program that runs JavaScript; CI must have it."""
    program = shutil.which("node")
    if program is not None and PACKAGES.is_dir():
        return program
    reason = "Node.js 20 and the wallet's packages are needed: npm ci --prefix patient_wallet"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def judged(node: str, **asked: object) -> dict[str, list[Any]]:
    done = subprocess.run(
        [node, str(JUDGE)], input=json.dumps(asked).encode(), capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    verdicts: dict[str, list[Any]] = json.loads(done.stdout)
    return verdicts


def signature_reason(case: dict[str, Any]) -> str:
    public, signature, message = (bytes.fromhex(case[name]) for name in ("public", "signature", "message"))
    try:
        verify_signature(public, signature, message)
    except Tampered as error:
        return error.reason
    return ""


def reads(text: bytes) -> bool:
    try:
        value = jcs.parse(text)
    except Invalid:
        return False
    assert jcs.canonical(value) == text
    return True


def opened(case: dict[str, Any]) -> dict[str, str | None]:
    private = RecipientPrivateKey(HPKE_X25519, bytes.fromhex(case["private"]))
    try:
        return {"plaintext": hpke_open(private, case["info"], bytes.fromhex(case["sealed"])).hex(), "refused": ""}
    except Tampered as error:
        return {"plaintext": None, "refused": error.reason}


# --- The corpora ----------------------------------------------------------------------------------------------------


def test_the_corpora_are_those_that_their_maker_writes() -> None:
    for name, content in corpora.files().items():
        assert (corpora.FOLDER / name).read_text() == content, name


def test_the_corpora_hold_every_kind() -> None:
    reasons = [case["reason"] for case in SIGNATURES]
    assert set(reasons) == {"", "weak-key", "signature-form", "signature"}
    assert min(map(reasons.count, set(reasons))) >= 5
    assert {"holds", "holds with cofactor only"} <= {
        case["name"].partition("T ")[2].partition("T ")[2] for case in SIGNATURES
    }
    assert sum(case["accepted"] for case in TEXTS) >= 25
    assert sum(not case["accepted"] for case in TEXTS) >= 90
    assert len([case for case in MESSAGES if case["plaintext"] is not None]) == 12
    assert len([case for case in MESSAGES if case["plaintext"] is None]) >= 60


# --- Python ---------------------------------------------------------------------------------------------------------


def test_python_says_about_every_signature_what_the_corpus_says() -> None:
    assert {case["name"]: signature_reason(case) for case in SIGNATURES} == {
        case["name"]: case["reason"] for case in SIGNATURES
    }


def test_python_reads_the_texts_of_the_signed_subset_and_no_other() -> None:
    for case in TEXTS:
        assert reads(bytes_of(case)) == case["accepted"], bytes_of(case)[:60]


def test_python_opens_the_genuine_messages_and_no_other() -> None:
    for case in MESSAGES:
        refused = "" if case["plaintext"] is not None else "wrap-altered"
        assert opened(case) == {"plaintext": case["plaintext"], "refused": refused}


@pytest.mark.parametrize("point", sealed_messages.SMALL_ORDER, ids=lambda point: point.hex()[:8])
def test_python_seals_to_no_point_of_small_order(point: bytes) -> None:
    with pytest.raises(Invalid):
        hpke_seal(RecipientPublicKey(HPKE_X25519, point), [], b"")


# --- JavaScript -----------------------------------------------------------------------------------------------------


def test_javascript_says_the_same_about_every_signature(node: str) -> None:
    verdicts = judged(node, ed25519=SIGNATURES)["ed25519"]
    names = [case["name"] for case in SIGNATURES]
    assert dict(zip(names, verdicts, strict=True)) == {case["name"]: case["reason"] for case in SIGNATURES}


def test_javascript_reads_the_same_texts(node: str) -> None:
    texts = [bytes_of(case) for case in TEXTS]
    verdicts = judged(node, jcs=[text.hex() for text in texts])["jcs"]
    for case, text, refused in zip(TEXTS, texts, verdicts, strict=True):
        assert (refused == "") == case["accepted"], text[:60]


def test_both_agree_on_texts_that_are_drawn_at_random(node: str) -> None:
    texts = list(drawn(DRAWN, SEED))
    verdicts = judged(node, jcs=[text.hex() for text in texts])["jcs"]
    accepted = [reads(text) for text in texts]
    assert [text for text, ours, theirs in zip(texts, accepted, verdicts, strict=True) if ours != (theirs == "")] == []
    assert DRAWN // 10 < sum(accepted) < DRAWN * 9 // 10


def test_javascript_opens_the_same_messages_and_seals_to_the_same_bytes(node: str) -> None:
    genuine = [case for case in MESSAGES if case["plaintext"] is not None]
    verdicts = judged(node, hpke=MESSAGES, sealed=genuine, weak=[one.hex() for one in sealed_messages.SMALL_ORDER])
    assert verdicts["hpke"] == [opened(case) for case in MESSAGES]
    assert verdicts["sealed"] == [case["sealed"] for case in genuine]
    assert set(verdicts["weak"]) == {"public-key"}


def test_javascript_has_the_key_schedule_of_rfc_9180(node: str) -> None:
    vectors = json.loads((Path(cryptography_vectors.__file__).parent / "HPKE" / "test-vectors.json").read_text())
    (case,) = [one for one in vectors if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 32, 1, 2)]
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["skEm"]))
    agreed = private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(case["pkRm"])))
    asked = {"agreed": agreed.hex(), "enc": case["enc"], "public": case["pkRm"], "info": case["info"]}
    assert judged(node, schedules=[asked])["schedules"] == [{"key": case["key"], "nonce": case["base_nonce"]}]
