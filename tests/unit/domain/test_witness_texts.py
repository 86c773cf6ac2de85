"""Log entries, write leaves, answers and the custodian's word: exact texts, and each altered field refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import effective, jcs, merkle, witness_answers
from domain.checkpoints import Checkpoint, origin_of
from domain.effective import Effective, sign_effective, verify_effective
from domain.errors import Invalid, Tampered, YilianError
from domain.identifiers import encode_bytes, identifier
from domain.signed_texts import SignedText
from domain.validity import BEFORE_GENESIS, validity_after
from domain.witness_answers import Answer, sign_answer, verify_answer
from domain.witness_log import Write, entry_of, parse_entry, parse_write_leaf, write_leaves, write_tree

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = [PRIVATE.public_key().public_bytes_raw()]
OTHER = [Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()]
NONCE, DIGEST = encode_bytes(bytes(32)), encode_bytes(sha256(b"header").digest())
CHECKPOINT = Checkpoint(origin_of("care"), 8, bytes(32))
VALIDITY = encode_bytes(sha256(b"validity").digest())
ANSWER = Answer("care", "AMSP", NONCE, 7, DIGEST, VALIDITY, CHECKPOINT.body())
ANSWER_FIELDS = ["v", "type", "channel", "msp", "nonce", "block", "header", "validity", "checkpoint"]
WORD = Effective("care", "AMSP", identifier(bytes(16)), identifier(bytes([1] * 16)), "tx", 7, "2026-03-01T12:00:00Z")


# --- The log --------------------------------------------------------------------------------------------------------


def test_an_entry_is_the_text_that_the_format_says() -> None:
    entry = entry_of(7, sha256(b"header").digest(), [b"leaf"], b"\x00\x0b")
    writes = encode_bytes(sha256(b"\x00leaf").digest())
    codes = encode_bytes(sha256(b"\x00\x0b").digest())
    assert json.loads(entry.encode()) == {"v": 1, "number": 7, "header": DIGEST, "writes": writes, "codes": codes}
    assert parse_entry(entry.encode()) == entry
    assert entry.leaf_hash() == sha256(b"\x00" + entry.encode()).digest()


def test_a_block_without_writes_has_the_root_of_the_empty_log() -> None:
    assert entry_of(0, bytes(32), [], b"\x00").writes == encode_bytes(sha256().digest())


@pytest.mark.parametrize("change", [
    lambda t: t.replace(b'"v":1', b'"v":2'), lambda t: t.replace(b'"number":7', b'"number":-7'), lambda t: t + b" ",
    lambda t: t.replace(b'"number":7,', b""), lambda t: t.replace(b'"v":1', b'"v":1,"w":1'), lambda t: b"[]",
    lambda t: t.replace(b'"number":7', b'"number":7.0'), lambda t: b"x" * 2000,
])  # fmt: skip
def test_an_entry_has_one_spelling(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Invalid):
        parse_entry(change(entry_of(7, bytes(32), [], b"\x00").encode()))


def test_write_leaves_are_ordered_by_transaction_then_by_key_in_utf_8() -> None:
    written = [
        Write(1, "b", "k", b"1"),
        Write(0, "a", "\U0001f600", b"2"),
        Write(0, "a", "\uff21", None),
        Write(0, "a", "k", b"3"),
    ]
    made = write_leaves(written)
    assert [json.loads(leaf)[:3] for leaf in made] == [
        [0, "a", "k"], [0, "a", "\uff21"], [0, "a", "\U0001f600"], [1, "b", "k"]
    ]  # fmt: skip
    assert [json.loads(leaf)[3] is None for leaf in made] == [False, True, False, False]
    assert made == write_leaves(reversed(written))
    assert write_tree(made).root() == merkle.MemoryTree(map(merkle.leaf_hash, made)).root()


def test_a_write_leaf_holds_the_digest_of_its_value() -> None:
    leaf = Write(3, "tx", "\0org\0AMSP\0", b"{}").leaf()
    read = parse_write_leaf(leaf)
    assert (read.transaction, read.tx_id, read.key) == (3, "tx", "\0org\0AMSP\0")
    assert read.digest == encode_bytes(sha256(b"{}").digest())
    for altered in (b"[]", b"{}", leaf[:-1], leaf.replace(b"3", b"-3"), leaf.replace(b'"tx"', b"1")):
        with pytest.raises(Invalid):
            parse_write_leaf(altered)


# --- Answers --------------------------------------------------------------------------------------------------------


def verified(signed: SignedText, **other: str) -> Answer:
    expected = {"channel": "care", "msp_id": "AMSP", "nonce": NONCE, **other}
    return verify_answer(signed, keys=KEYS, **expected)


def test_an_answer_is_the_text_that_the_format_says() -> None:
    assert json.loads(sign_answer(ANSWER, PRIVATE.sign).text) == {
        "v": 1, "type": "witness-answer", "channel": "care", "msp": "AMSP", "nonce": NONCE, "block": 7,
        "header": DIGEST, "validity": VALIDITY, "checkpoint": CHECKPOINT.body(),
    }  # fmt: skip


def test_validity_is_a_running_hash_over_headers_and_what_is_valid() -> None:
    genesis = validity_after(BEFORE_GENESIS, b"h" * 32, (True,))
    assert genesis == sha256(bytes(32) + b"h" * 32 + b"\x01").digest()
    assert validity_after(genesis, b"i" * 32, (True, False)) == sha256(genesis + b"i" * 32 + b"\x01\x00").digest()


def test_an_answer_is_bound_to_question_member_and_channel() -> None:
    signed = sign_answer(ANSWER, PRIVATE.sign)
    assert verified(signed) == ANSWER
    assert ANSWER.head() == CHECKPOINT
    for other in ({"nonce": encode_bytes(bytes([1] * 32))}, {"msp_id": "BMSP"}, {"channel": "other"}):
        with pytest.raises(Tampered, match="another question"):
            verified(signed, **other)
    with pytest.raises(Tampered, match="no key"):
        verify_answer(signed, channel="care", msp_id="AMSP", nonce=NONCE, keys=OTHER)
    assert verify_answer(signed, channel="care", msp_id="AMSP", nonce=NONCE, keys=[*OTHER, *KEYS]) == ANSWER


@pytest.mark.parametrize("field", ANSWER_FIELDS)
def test_every_altered_field_of_an_answer_is_refused(field: str) -> None:
    fields = json.loads(sign_answer(ANSWER, PRIVATE.sign).text)
    others: dict[str, object] = {
        "v": 2, "type": "effective", "channel": "other", "msp": "BMSP", "nonce": DIGEST, "block": 6,
        "header": encode_bytes(bytes(32)), "validity": DIGEST,
        "checkpoint": replace(CHECKPOINT, root=bytes([1] * 32)).body(),
    }  # fmt: skip
    text = jcs.canonical(fields | {field: others[field]}).decode()
    with pytest.raises(Tampered):
        verified(SignedText(text, sign_answer(ANSWER, PRIVATE.sign).signature))
    if field not in ("header", "validity", "checkpoint"):
        with pytest.raises(YilianError):  # also where the witness itself signed it
            verified(SignedText(text, encode_bytes(PRIVATE.sign(text.encode()))))


@pytest.mark.parametrize(
    "fields",
    [
        {"checkpoint": replace(CHECKPOINT, size=7).body()},
        {"checkpoint": replace(CHECKPOINT, origin="yilian/x").body()},
        {"checkpoint": "x"}, {"checkpoint": ""}, {"block": -1}, {"nonce": "AA"}, {"header": "AA"}, {"msp": "A B"},
        {"channel": ""}, {"validity": "AA"},
    ],
)  # fmt: skip
def test_an_answer_agrees_with_its_own_checkpoint(fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        replace(ANSWER, **fields)  # type: ignore[arg-type]


def test_answers_travel_as_json() -> None:
    signed = sign_answer(ANSWER, PRIVATE.sign)
    assert witness_answers.from_json(witness_answers.to_json(signed)) == signed
    wrong: list[object] = [{}, [], None, {"answer": "x"}, {"answer": 1, "signature": signed.signature}]
    for bad in [*wrong, {"answer": "x", "signature": "A"}]:
        with pytest.raises(Invalid):
            witness_answers.from_json(bad)


# --- Effective ------------------------------------------------------------------------------------------------------


def test_the_custodians_word_is_bound_to_statement_custodian_and_channel() -> None:
    signed = sign_effective(WORD, PRIVATE.sign)
    expected = {"channel": "care", "custodian": "AMSP", "statement": WORD.statement}
    assert verify_effective(signed, keys=KEYS, **expected) == WORD
    for name, value in (("channel", "other"), ("custodian", "BMSP"), ("statement", WORD.patient)):
        with pytest.raises(Tampered):
            verify_effective(signed, keys=KEYS, **expected | {name: value})
    with pytest.raises(Tampered):
        verify_effective(signed, keys=OTHER, **expected)
    assert effective.from_json(effective.to_json(signed)) == signed
    wrong: list[object] = [{}, [], {"effective": "x"}, {"effective": 1, "signature": signed.signature}]
    for bad in wrong:
        with pytest.raises(Invalid):
            effective.from_json(bad)


@pytest.mark.parametrize("field", ["v", "type", "channel", "custodian", "patient", "statement", "tx_id", "block", "at"])
def test_every_altered_field_of_the_custodians_word_is_refused(field: str) -> None:
    signed = sign_effective(WORD, PRIVATE.sign)
    fields = json.loads(signed.text)
    altered = fields[field] + 1 if isinstance(fields[field], int) else fields[field].replace("a", "b") + "x"
    text = jcs.canonical(fields | {field: altered}).decode()
    with pytest.raises(Tampered):
        verify_effective(
            SignedText(text, signed.signature), channel="care", custodian="AMSP", statement=WORD.statement, keys=KEYS
        )


def test_one_text_is_never_taken_for_another() -> None:
    """The same key may sign both kinds; a checkpoint's body begins with no brace at all."""
    word = sign_effective(WORD, PRIVATE.sign)
    with pytest.raises(Invalid):
        verified(word)
    body = CHECKPOINT.body()
    with pytest.raises(Invalid):
        verified(SignedText(body, encode_bytes(PRIVATE.sign(body.encode()))))
