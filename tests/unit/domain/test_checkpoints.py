"""Checkpoints and signed notes: one spelling, strict signatures, notes of one size merge."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.checkpoints import (
    MAX_SIGNATURES,
    Checkpoint,
    NoteSignature,
    SignedNote,
    key_hash,
    key_name,
    merge,
    origin_of,
    parse_body,
    parse_note,
    sign_checkpoint,
    verifier_key,
    verify_note,
)
from domain.errors import Invalid, Tampered
from domain.identifiers import encode_bytes
from domain.witness_key import WitnessPublicKey, parse_witness_key

CHECKPOINT = Checkpoint(origin_of("care"), 9, bytes(range(32)))
ORDER = 2**252 + 27742317777372353535851937790883648493


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(seed: int) -> bytes:
    return private(seed).public_key().public_bytes_raw()


def note(msp_id: str, seed: int, checkpoint: Checkpoint = CHECKPOINT) -> SignedNote:
    return sign_checkpoint(checkpoint, msp_id, public(seed), private(seed).sign)


KEYS = {"AMSP": (public(1),), "BMSP": (public(2), public(3))}


def test_the_note_of_the_go_package_is_read_as_its_authors_wrote_it() -> None:
    """The example key of ``golang.org/x/mod/sumdb/note``: PeterNeumann+c74f20a3+ARpc2Qc…."""
    raw = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert raw[:1] == b"\x01"
    assert key_hash("PeterNeumann", raw[1:]).hex() == "c74f20a3"
    assert verifier_key("PeterNeumann", raw[1:]) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_note_is_three_lines_an_empty_one_and_signatures() -> None:
    text = note("AMSP", 1).text()
    body, _, line = text.partition("\n\n")
    assert body.split("\n") == ["yilian/care", "9", base64.b64encode(bytes(range(32))).decode()]
    assert line.startswith("— yilian/care/AMSP ")
    encoded = base64.b64decode(line.split(" ")[2])
    assert encoded[:4] == key_hash(key_name("care", "AMSP"), public(1))
    private(1).public_key().verify(encoded[4:], (body + "\n").encode())


def test_what_is_written_is_read_back() -> None:
    both = merge([note("BMSP", 2), note("AMSP", 1)])
    assert parse_note(both.text()) == both
    assert parse_body(CHECKPOINT.body()) == CHECKPOINT


def test_notes_of_one_checkpoint_merge_in_any_order_each_line_once() -> None:
    notes = [note("BMSP", 2), note("AMSP", 1), note("BMSP", 3)]
    merged = merge(notes)
    assert merged == merge([merged, *reversed(notes)])
    assert len(merged.signatures) == 3
    assert verify_note(merged, KEYS) == ("AMSP", "BMSP")


def test_notes_of_different_checkpoints_do_not_merge() -> None:
    with pytest.raises(Tampered):
        merge([note("AMSP", 1), note("AMSP", 1, replace(CHECKPOINT, size=10))])


def test_two_signatures_by_one_key_do_not_merge() -> None:
    line = note("AMSP", 1).signatures[0]
    other = SignedNote(CHECKPOINT, (replace(line, signature=bytes(64)),))
    with pytest.raises(Invalid):
        merge([note("AMSP", 1), other])
    with pytest.raises(Invalid):
        merge([])


def test_unknown_keys_are_passed_over_and_known_ones_must_hold() -> None:
    assert verify_note(note("CMSP", 4), KEYS) == ()
    assert verify_note(merge([note("CMSP", 4), note("AMSP", 1)]), KEYS) == ("AMSP",)
    line = note("AMSP", 1).signatures[0]
    s = int.from_bytes(line.signature[32:], "little") + ORDER
    for signature in (bytes(64), line.signature[:32] + s.to_bytes(32, "little"), line.signature[:-1]):
        forged = SignedNote(CHECKPOINT, (replace(line, signature=signature),))
        with pytest.raises(Tampered):
            verify_note(forged, KEYS)


def test_a_signature_holds_for_its_own_checkpoint_and_member_alone() -> None:
    line = note("AMSP", 1).signatures[0]
    with pytest.raises(Tampered):
        verify_note(SignedNote(replace(CHECKPOINT, size=10), (line,)), KEYS)
    assert verify_note(SignedNote(CHECKPOINT, (replace(line, name=key_name("care", "BMSP")),)), KEYS) == ()
    assert verify_note(note("AMSP", 1), {"BMSP": KEYS["AMSP"]}) == ()
    assert verify_note(note("AMSP", 1, replace(CHECKPOINT, origin="yilian/other")), KEYS) == ("AMSP",)


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "care"}, {"origin": "yilian/"}, {"origin": "yilian/Care"}, {"origin": "yilian/a\nb"}, {"size": 0},
        {"size": -1}, {"size": 2**53}, {"size": True}, {"root": bytes(31)}, {"root": bytes(33)}, {"root": b""},
    ],
)  # fmt: skip
def test_a_checkpoint_is_valid_once_constructed(fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        replace(CHECKPOINT, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n\n", "yilian/care\n9\n", CHECKPOINT.body()[:-1], CHECKPOINT.body() + "\n",
        CHECKPOINT.body() + "more\n",
        CHECKPOINT.body().replace("\n9\n", "\n09\n"), CHECKPOINT.body().replace("\n9\n", "\n9 \n"),
        CHECKPOINT.body().replace("\n9\n", "\n\N{FULLWIDTH DIGIT NINE}\n"), CHECKPOINT.body().replace("=", ""),
        CHECKPOINT.body().replace("\n", "\r\n"), CHECKPOINT.body().replace("8=", "9="),
    ],
)  # fmt: skip
def test_a_body_has_one_spelling(text: str) -> None:
    with pytest.raises(Invalid):
        parse_body(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n\n", "\n"), lambda t: t[:-1], lambda t: t + "\n", lambda t: t.replace("— ", "-- "),
        lambda t: t.replace("— ", "—"), lambda t: t.replace("— yilian", "—  yilian"),
        lambda t: t.partition("\n\n")[0] + "\n\n",
        lambda t: t + "— x \n", lambda t: t + "— x AAAA\n", lambda t: t + "— x AAAAAA==\n",
        lambda t: t + "— x+y AAAAAAA=\n",
        lambda t: t + t.split("\n\n")[1], lambda t: t + "— x " + "A" * 40_000 + "\n", lambda t: t + "— x \u00e9AAA\n",
    ],
)  # fmt: skip
def test_a_note_has_one_spelling(change: object) -> None:
    text = note("AMSP", 1).text()
    assert parse_note(text)
    with pytest.raises(Invalid):
        parse_note(change(text))  # type: ignore[operator]


def test_a_note_has_a_bounded_number_of_signatures() -> None:
    lines = tuple(NoteSignature(f"n{number}", bytes(4), bytes(64)) for number in range(MAX_SIGNATURES + 1))
    assert parse_note(SignedNote(CHECKPOINT, lines[:-1]).text())
    with pytest.raises(Invalid):
        SignedNote(CHECKPOINT, lines)


def test_a_public_key_file_names_channel_and_member() -> None:
    key = WitnessPublicKey("care", "AMSP", encode_bytes(public(1)))
    assert parse_witness_key(key.encode()) == key
    assert key.verifier_key() == verifier_key("yilian/care/AMSP", public(1))
    for altered in (
        key.encode().replace(b"witness-key", b"other"), key.encode().replace(b'"v":1', b'"v":2'), b"{}",
        key.encode().replace(b"AMSP", b"A MSP"), key.encode() + b"\n",
    ):  # fmt: skip
        with pytest.raises(Invalid):
            parse_witness_key(altered)
    with pytest.raises(Invalid, match="subgroup"):
        WitnessPublicKey("care", "AMSP", encode_bytes(bytes([1, *[0] * 31])))
