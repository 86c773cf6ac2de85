"""What is read or verified is refused with a reason and a place that tell an alarm from a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import effective, entries, erasure, jcs, leaves, paths, queries, signed_texts, statements, transactions
from domain import witness_answers as answers
from domain.checkpoints import Checkpoint, NoteSignature, SignedNote, merge, parse_body, parse_note, sign_checkpoint
from domain.errors import Invalid, Tampered, Unavailable, YilianError
from domain.identifiers import encode_bytes
from domain.receipt_form import MAX_MEMBERS_BYTES, MAX_RECEIPT_BYTES, Members, Receipt, parse_members, parse_receipt
from domain.receipts import parties_of, verify_receipt
from domain.witness_answers import Answer
from domain.witness_key import WitnessPublicKey, parse_witness_key
from domain.witness_log import LogEntry, parse_entry, parse_write_leaf
from tests.unit.domain.forms import DIGEST, FORMS, GRANT, ID, KEY, KEYS, NOW, OTHER_ID, PATH, SIGNATURE
from tests.unit.domain.receipt_vectors import ACCESS, HEADS, members, world

Call = Callable[[], object]
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
SIGNER_KEY, OTHER_KEY = (one.public_key().public_bytes_raw() for one in (SIGNER, OTHER_SIGNER))
ENVELOPE = statements.Envelope(ID, "channel", ID, "A", 1, 1, NOW)
STATEMENT = statements.Statement(ENVELOPE, statements.Enrol(KEYS)).encode()
CHECKPOINT = Checkpoint("yilian/channel", 1, bytes(32))
NOTE = sign_checkpoint(CHECKPOINT, "A", SIGNER_KEY, SIGNER.sign)
LARGER_NOTE = sign_checkpoint(replace(CHECKPOINT, size=2), "A", SIGNER_KEY, SIGNER.sign)
MADE = world()


def of(kind: type[Any]) -> Any:
    return next(form for form in FORMS if type(form) is kind)


def refusal(call: Call) -> tuple[type[YilianError], str, str]:
    """Kind, reason and place; each refusal explains itself in a sentence."""
    with pytest.raises(YilianError) as refused:
        call()
    assert " " in refused.value.detail
    return type(refused.value), refused.value.reason, refused.value.place


def changed(encoded: bytes | str, **changes: Any) -> bytes:
    """The JSON with other fields; ``...`` takes one out."""
    fields = {**json.loads(encoded), **changes}
    text = {name: value for name, value in fields.items() if value is not ...}
    return json.dumps(text, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signature_of(text: str) -> str:
    return encode_bytes(SIGNER.sign(text.encode()))


SIGNED: Final = answers.sign_answer(of(Answer), SIGNER.sign)
WORD: Final = effective.sign_effective(of(effective.Effective), SIGNER.sign)


READERS: dict[str, tuple[Callable[[bytes], object], bytes, str, int]] = {
    "record leaf": (leaves.parse_record_leaf, leaves.encode(of(leaves.RecordLeaf)), "leaf.v", leaves.MAX_LEAF_BYTES),
    "access leaf": (leaves.parse_access_leaf, leaves.encode(of(leaves.AccessLeaf)), "leaf.v", leaves.MAX_LEAF_BYTES),
    "log entry": (parse_entry, of(LogEntry).encode(), "v", 1024),
    "witness key": (parse_witness_key, of(WitnessPublicKey).encode(), "v", 4096),
    "members": (parse_members, members().encode(), "v", MAX_MEMBERS_BYTES),
    "receipt": (parse_receipt, MADE.receipt(ACCESS).encode(), "v", MAX_RECEIPT_BYTES),
    "statement": (lambda text: statements.parse(text.decode()), STATEMENT.encode(), "statement.v", 16 * 1024),
    "answer": (
        lambda text: signed_texts.parse(Answer, answers.TYPE, text.decode()),
        signed_texts.encode(answers.TYPE, of(Answer)),
        "v",
        4096,
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_read_has_one_version_and_a_bound(name: str) -> None:
    read, encoded, place, most = READERS[name]
    assert read(encoded)
    for version in (0, 2, True, "1", ...):
        assert refusal(partial(read, changed(encoded, v=version))) == (Invalid, "invalid", place)
    assert refusal(partial(read, b" " * (most + 1)))[:2] == (Invalid, "too-large")
    assert refusal(partial(read, b" " * most))[1] != "too-large"


@pytest.mark.parametrize("name", ["witness key", "receipt", "answer"])
@pytest.mark.parametrize("kind", ["other", "", 1, ...])
def test_what_names_its_type_is_not_taken_for_another(name: str, kind: object) -> None:
    read, encoded, _, _ = READERS[name]
    assert refusal(partial(read, changed(encoded, type=kind))) == (Invalid, "invalid", "type")


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: statements.parse(b"text"), "invalid", "statement"),
        (lambda: statements.parse(changed(STATEMENT, type="other").decode()), "invalid", "statement.type"),
        (lambda: statements.parse(changed(STATEMENT, type=1).decode()), "invalid", "statement.type"),
        (lambda: statements.parse(changed(STATEMENT, type=...).decode()), "invalid", "statement.type"),
        (lambda: statements.parse(changed(STATEMENT, contract="x").decode()), "invalid", "statement.contract"),
        (lambda: statements.parse(changed(STATEMENT, contract=...).decode()), "invalid", "statement.contract"),
        (lambda: statements.parse(changed(STATEMENT, body={}).decode()), "invalid", "statement.body.keys"),
        (lambda: statements.parse(changed(STATEMENT, body=...).decode()), "invalid", "statement.body"),
        (lambda: statements.parse(changed(STATEMENT, id=...).decode()), "invalid", "statement.id"),
        (lambda: statements.parse(changed(STATEMENT, more=1).decode()), "invalid", "statement"),
        (lambda: statements.parse("\ud800"), "not-utf8", "byte 0"),
        (lambda: statements.verify(STATEMENT, SIGNATURE, "x"), "invalid", "signing_key"),
        (lambda: statements.verify(STATEMENT, "x", KEY), "invalid", "signature"),
        (lambda: transactions.parse("Nothing", b"{}"), "unknown-transaction", "name"),
        (lambda: transactions.parse("CreateRecord", b"{}"), "invalid", "CreateRecord.leaf"),
        (lambda: transactions.parse("CreateRecord", b" " * (256 * 1024 + 1)), "too-large", ""),
        (lambda: queries.parse("Nothing", b"{}"), "unknown-query", "name"),
        (lambda: queries.parse("QueryPatient", b"{}"), "invalid", "QueryPatient.patient"),
        (lambda: queries.parse("QueryPatient", b'{"patient":"x","x":1}'), "invalid", "QueryPatient"),
        (lambda: queries.parse("QueryAccesses", b"{}"), "invalid", "QueryAccesses"),
        (lambda: queries.parse("QueryPatient", b" " * 4097), "too-large", ""),
        (lambda: entries.parse(entries.FloorEntry, b'{"grant_epoch":1}'), "invalid", "v"),
        (lambda: entries.parse(entries.FloorEntry, b'{"grant_epoch":1,"v":0}'), "invalid", "v"),
        (lambda: entries.parse(entries.FloorEntry, b'{"v":1}'), "invalid", "grant_epoch"),
        (lambda: parse_write_leaf(b"[0,1]"), "invalid", "leaf"),
        (lambda: parse_write_leaf(b"{}"), "invalid", "leaf"),
        (lambda: leaves.owner_commitment(ID, "result", bytes(31)), "invalid", "salt"),
        (lambda: leaves.subject_tag(ID, bytes(33)), "invalid", "salt"),
        (lambda: leaves.keyed_digest({}, b""), "invalid", "salt"),
        (lambda: answers.from_json([]), "invalid", "answer"),
        (lambda: answers.from_json({"answer": "x"}), "invalid", "answer"),
        (lambda: answers.from_json({"answer": "x", "signature": SIGNATURE, "more": 1}), "invalid", "answer"),
        (lambda: effective.from_json([]), "invalid", "effective"),
        (lambda: effective.from_json({"effective": "x", "signature": SIGNATURE, "more": 1}), "invalid", "effective"),
        (lambda: answers.check_nonce("x"), "invalid", "nonce"),
        (lambda: erasure.records_digest([], bytes(32)), "invalid", "records"),
        (lambda: erasure.records_digest([OTHER_ID, ID], bytes(32)), "invalid", "records"),
        (lambda: erasure.records_digest([ID, ID], bytes(32)), "invalid", "records"),
        (lambda: erasure.records_digest(["x"], bytes(32)), "invalid", "records"),
        (lambda: paths.verify_leaf(b"leaf", PATH, "x"), "invalid", "root"),
        (lambda: replace(CHECKPOINT, origin="channel"), "invalid", "origin"),
        (lambda: replace(CHECKPOINT, size=0), "invalid", "size"),
        (lambda: replace(CHECKPOINT, root=bytes(31)), "invalid", "root"),
        (lambda: NoteSignature("a b", bytes(4), b"1"), "invalid", "signature"),
        (lambda: NoteSignature("a", bytes(5), b"1"), "invalid", "signature"),
        (lambda: NoteSignature("a", bytes(4), b""), "invalid", "signature"),
        (lambda: SignedNote(CHECKPOINT, ()), "invalid", "signatures"),
        (lambda: SignedNote(CHECKPOINT, NOTE.signatures * 2), "invalid", "signatures"),
        (lambda: parse_body("x"), "invalid", "checkpoint"),
        (lambda: parse_body(CHECKPOINT.body().replace("=", "")), "invalid", "note"),
        (lambda: parse_body(CHECKPOINT.body().replace("A=", "B=")), "invalid", "note"),
        (lambda: parse_note("x" * (32 * 1024 + 1)), "too-large", "note"),
        (lambda: parse_note("x" * (32 * 1024)), "invalid", "note"),
        (lambda: parse_note(NOTE.text()[:-1]), "invalid", "note"),
        (lambda: parse_note(NOTE.text().replace("— ", "-- ")), "invalid", "signature"),
        (lambda: merge([]), "invalid", "notes"),
    ],
)
def test_what_is_not_of_its_form_is_refused_at_its_place(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Invalid, reason, place)


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: statements.verify(STATEMENT, signature_of("other"), KEY), "signature", ""),
        (lambda: merge([NOTE, LARGER_NOTE]), "checkpoint", ""),
        (lambda: signed_texts.verify_text(SIGNED, []), "signature", "signature"),
        (lambda: signed_texts.verify_text(SIGNED, [OTHER_KEY]), "signature", "signature"),
        (lambda: verified_answer(channel="other"), "another-question", "nonce"),
        (lambda: verified_answer(msp_id="B"), "another-question", "nonce"),
        (lambda: verified_answer(nonce=KEY), "another-question", "nonce"),
        (lambda: verified_word(channel="other"), "another-statement", ""),
        (lambda: verified_word(custodian="B"), "another-statement", ""),
        (lambda: verified_word(statement=OTHER_ID), "another-statement", ""),
        (lambda: paths.verify_leaf(b"leaf", replace(PATH, hashes=()), DIGEST), "inclusion", ""),
    ],
)
def test_what_does_not_hold_is_an_alarm_with_its_reason(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Tampered, reason, place)


def verified_answer(**other: str) -> Answer:
    asked = {"channel": "channel", "msp_id": "A", "nonce": DIGEST, **other}
    return answers.verify_answer(SIGNED, keys=[OTHER_KEY, SIGNER_KEY], **asked)


def verified_word(**other: str) -> effective.Effective:
    about = {"channel": "channel", "custodian": "A", "statement": ID, **other}
    return effective.verify_effective(WORD, keys=[OTHER_KEY, SIGNER_KEY], **about)


def test_an_answer_and_a_word_hold_under_any_key_of_their_signer() -> None:
    assert verified_answer() == of(Answer)
    assert verified_word() == of(effective.Effective)
    assert answers.from_json(answers.to_json(SIGNED)) == SIGNED
    assert effective.from_json(effective.to_json(WORD)) == WORD


def test_a_signed_statement_is_read_once_its_signature_holds() -> None:
    assert statements.verify(STATEMENT, signature_of(STATEMENT), KEY).body == statements.Enrol(KEYS)
    grant = statements.Statement(ENVELOPE, GRANT)
    assert statements.parse(grant.encode()) == grant


def receipt(key: str = ACCESS, kind: str = "write") -> Receipt:
    return MADE.receipt(key, kind=kind)


def with_proves(changes: dict[str, Any], key: str = HEADS, kind: str = "record") -> Receipt:
    made = receipt(key, kind)
    return replace(made, proves=replace(made.proves, **changes))


def other_channel() -> Receipt:
    """A receipt whose witnesses signed the same log under another channel's name."""
    made = receipt()
    origin = replace(parse_note(made.checkpoint).checkpoint, origin="yilian/other")
    return replace(made, checkpoint=sign_checkpoint(origin, "A", SIGNER_KEY, SIGNER.sign).text())


@pytest.mark.parametrize(
    ("made", "reason", "place"),
    [
        (lambda: replace(receipt(), channel="other"), "channel", "channel"),
        (lambda: replace(receipt(), ledger="embedded"), "channel", "channel"),
        (lambda: with_proves({"key": "\0log\0A\0"}), "leaf", "proves.key"),
        (lambda: with_proves({"key": HEADS.replace("log", "lag")}), "leaf", "proves.key"),
        (lambda: with_proves({"key": HEADS.replace("0000000001", "0000000002")}), "leaf", "proves.key"),
        (lambda: with_proves({"key": HEADS + "more\0"}), "leaf", "proves.key"),
        (lambda: with_proves({"key": "no key"}), "write", "proves.key"),
        (lambda: with_proves({"key": "\0a"}), "write", "proves.key"),
        (lambda: with_proves({"value": "{}"}), "leaf", "proves"),
        (lambda: with_proves({"value": "\ud800"}), "leaf", "proves"),
        (lambda: with_proves({"leaf": "{}"}), "leaf", "proves"),
        (lambda: with_proves({"leaf": "{}"}, kind="access-row"), "leaf", "proves"),
        (lambda: with_proves({"kind": "access-row"}), "leaf", "proves"),
        (lambda: with_proves({"path": replace(PATH, size=2)}), "leaf", "proves.leaf"),
        (lambda: replace(receipt(), block="{}"), "entry", "block"),
        (lambda: replace(receipt(), block="\ud800"), "entry", "block"),
        (lambda: with_proves({"value": "\ud800"}, ACCESS, "write"), "write", "write"),
        (lambda: with_proves({"value": "{}"}, ACCESS, "write"), "inclusion", ""),
        (lambda: replace(receipt(), checkpoint="x"), "checkpoint", "checkpoint"),
        (lambda: replace(receipt(), log=replace(receipt().log, size=12)), "inclusion", "log.size"),
        (lambda: replace(receipt(), log=replace(receipt().log, path=())), "inclusion", ""),
        (other_channel, "checkpoint", "checkpoint"),
    ],
)
def test_a_receipt_that_does_not_hold_says_why(made: Callable[[], Receipt], reason: str, place: str) -> None:
    assert refusal(lambda: verify_receipt(made(), members())) == (Tampered, reason, place)


def test_a_receipt_with_too_few_signatures_is_not_witnessed() -> None:
    few = MADE.receipt(ACCESS, "CMSP")
    assert refusal(partial(verify_receipt, few, members())) == (Unavailable, "not-witnessed", "checkpoint")


def test_a_verified_receipt_tells_what_was_proven() -> None:
    made = receipt()
    verified = verify_receipt(made, members(), ("DMSP",))
    entry = parse_entry(made.block.encode())
    assert (verified.proven, verified.tx_id) == (made.proves, made.write.tx_id)
    assert (verified.block, verified.header_hash) == (7, entry.header)
    assert verified.checkpoint == MADE.checkpoint
    assert (verified.parties, verified.required) == (("DMSP", "HospitalBMSP"), 2)
    assert verified.signers == ("CMSP", "EMSP", "HospitalAMSP")
    assert not verified.single_operator


@pytest.mark.parametrize(
    ("key", "parties"),
    [
        ("\0org\0A\0", {"A"}),
        ("\0org\0", set()),
        ("\0log\0A\0one\0", {"A"}),
        ("\0record\0A\0r\0", {"A"}),
        ("\0status\0A\0r\0", {"A"}),
        ("\0attestation\0A\0r\0B\0", {"A", "B"}),
        ("\0review\0e\0B\0", {"B"}),
        ("\0grant\0p\0g\0", set()),
    ],
)
def test_who_is_named_by_a_key_takes_part(key: str, parties: set[str]) -> None:
    proven = of(type(receipt().proves))
    plain = replace(proven, kind="write", leaf=None, path=None, key=key, value="{}")
    assert parties_of(plain) == parties
    for field in ("custodian", "requester", "grantee", "organisation", "by", "msp_id"):
        nested = jcs.canonical({"list": [{field: "C"}], "other": "D", "number": 1}).decode()
        assert parties_of(replace(plain, value=nested)) == parties | {"C"}
        assert parties_of(replace(proven, key=key, value="{}", leaf=nested)) == parties | {"C"}
    assert refusal(lambda: parties_of(replace(plain, value="x"))) == (Tampered, "not-canonical", "proves")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"proves": 1}, "proves"),
        ({"channel": ""}, "channel"),
        ({"channel": "c" * 250}, "channel"),
        ({"ledger": "x"}, "ledger"),
        ({"block": ""}, "block"),
        ({"block": "x" * 1025}, "block"),
        ({"checkpoint": ""}, "checkpoint"),
        ({"checkpoint": "x" * (32 * 1024 + 1)}, "checkpoint"),
        ({"proves": {"kind": "write", "key": "k"}}, "proves"),
        ({"proves": {"kind": "write", "key": "k", "value": "v", "leaf": None}}, "proves"),
        ({"proves": {"kind": "record", "key": "k", "value": "v"}}, "proves.leaf"),
        ({"write": 1}, "write"),
        ({"write": {}}, "write.index"),
        ({"log": 1}, "log"),
        ({"log": {}}, "log.path"),
        ({"more": 1}, "receipt"),
        ({"block": ...}, "receipt.block"),
    ],
)
def test_a_receipt_of_another_form_is_refused_at_its_place(changes: dict[str, Any], place: str) -> None:
    assert refusal(lambda: parse_receipt(changed(receipt().encode(), **changes))) == (Invalid, "invalid", place)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"members": ...}, "members"),
        ({"members": []}, "members"),
        ({"members": [{"msp": "A", "witness": []}] * 1001}, "members"),
        ({"members": [1]}, "members"),
        ({"members": [{"msp": "A"}]}, "members.witness"),
        ({"channel": ...}, "members.channel"),
        ({"more": 1}, "members"),
    ],
)
def test_a_members_file_of_another_form_is_refused_at_its_place(changes: dict[str, Any], place: str) -> None:
    assert refusal(lambda: parse_members(changed(members().encode(), **changes))) == (Invalid, "invalid", place)


def test_a_members_file_may_name_a_thousand() -> None:
    many = [{"msp": f"M{number}", "witness": []} for number in range(1000)]
    assert isinstance(parse_members(changed(members().encode(), members=many)), Members)
