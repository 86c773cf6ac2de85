"""Receipts against their vectors: every altered field has its kind of failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import leaves, merkle
from domain.checkpoints import SignedNote, WitnessKeys, verify_note
from domain.entries import Head, LogEntry, encode
from domain.errors import Invalid, Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.paths import leaf_path
from domain.receipt_form import Members, Proven, Receipt, ReceiptReader, parse_members, parse_receipt
from domain.receipts import ReceiptVerifier, VerifiedReceipt, _verify_leaf, required_signatures, verify_receipt
from tests.unit.chaincode.vectors import record_leaf
from tests.unit.domain import receipt_vectors
from tests.unit.domain.receipt_vectors import ACCESS, HEADS, Case, members, world

CASES = receipt_vectors.cases()
READER = ReceiptReader(remembered=3)
Verify = Callable[[Receipt, Members, Collection[str]], VerifiedReceipt]
OUTCOMES: dict[type[Exception], str] = {Tampered: "altered", Invalid: "unusable"}


def outcome(case: Case, verify: Verify = verify_receipt) -> tuple[str, tuple[str, ...]]:
    """What verifying gives, in the words of the vectors, and the signers."""
    try:
        receipt, file = parse_receipt(case.receipt.encode()), parse_members(case.members.encode())
        verified = verify(receipt, file, case.parties)
    except (Tampered, Invalid) as error:
        return OUTCOMES[type(error)], ()
    except Unavailable as error:
        return error.reason, ()
    assert verified.single_operator == (file.ledger == "embedded")
    return "verified", verified.signers


@pytest.fixture
def reader() -> ReceiptReader:
    return ReceiptReader()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_receipt_is_judged_as_its_vector_says(case: Case) -> None:
    assert outcome(case) == (case.outcome, case.signers)


@pytest.mark.parametrize("remembered", [1, 1000])
def test_what_a_verifier_remembers_changes_no_verdict(remembered: int) -> None:
    verifiers: dict[Members, ReceiptVerifier] = {}

    def verify(receipt: Receipt, file: Members, parties: Collection[str]) -> VerifiedReceipt:
        return verifiers.setdefault(file, ReceiptVerifier(file, remembered)).verify(receipt, parties)

    for case in (*CASES, *reversed(CASES)):
        assert outcome(case, verify) == (case.outcome, case.signers)


def test_a_reader_of_many_receipts_reads_each_as_it_is_read_alone(reader: ReceiptReader) -> None:
    for case in (*CASES, *reversed(CASES)):
        assert _read(reader.parse, case.receipt.encode()) == _read(parse_receipt, case.receipt.encode())


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_reader_refuses_every_altered_text_that_is_refused_alone(data: st.DataObject) -> None:
    """One reader for all: what it remembers of good receipts must not let a bad one pass."""
    text = data.draw(st.sampled_from([case.receipt.encode() for case in CASES if case.receipt]))
    place = data.draw(
        st.integers(0, len(text) - 1) | st.just(text.find(b',"proves":') + data.draw(st.integers(-2, 12)))
    )
    other = data.draw(st.sampled_from([b"", b'"', b",", b"{", b"}", b" ", b"x", b',"proves":', b"\\", text[-5:]]))
    altered = text[:place] + other + text[place + data.draw(st.integers(0, 2)) :]
    for one in (text, altered, altered):
        assert _read(READER.parse, one) == _read(parse_receipt, one)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b',"proves":', b' ,"proves":'),
        lambda text: text.replace(b',"proves":', b',"n":0,"proves":'),
        lambda text: text.replace(b',"proves":', b',"log":{"path":[],"size":1},"proves":'),
        lambda text: text.replace(b',"type":', b',"block":"","type":'),
        lambda text: text.replace(b',"v":1', b',"ledger":"embedded","v":1'),
        lambda text: text.replace(b'{"block"', b'{"a":{"proves":1},"block"'),
        lambda text: b'{"a":[{"b":1,"proves":' + text + b"}]}",
    ],
)
def test_a_reader_puts_no_parts_together_that_are_no_receipt(change: Callable[[bytes], bytes]) -> None:
    good = CASES[0].receipt.encode()
    assert READER.parse(good) == parse_receipt(good)
    assert change(good) != good
    assert isinstance(_read(READER.parse, change(good)), str)


def test_receipts_of_one_block_share_what_was_read_once(reader: ReceiptReader) -> None:
    first, second = (reader.parse(CASES[0].receipt.encode()) for _ in range(2))
    assert first == second
    assert first.log is second.log


def _read(parse: Callable[[bytes], Receipt], text: bytes) -> Receipt | str:
    try:
        return parse(text)
    except Invalid as error:
        return f"{error.reason} {error.place} {error.detail}"


def test_receipts_of_one_checkpoint_have_its_signatures_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[SignedNote] = []

    def counted(note: SignedNote, keys: WitnessKeys) -> tuple[str, ...]:
        seen.append(note)
        return verify_note(note, keys)

    monkeypatch.setattr("domain.receipts.verify_note", counted)
    made, verifier = world(), ReceiptVerifier(members())
    for key in (ACCESS, HEADS, ACCESS):
        verifier.verify(made.receipt(key, "CMSP", "DMSP"))
    assert len(seen) == 1


def test_the_vectors_are_what_their_generator_writes() -> None:
    assert receipt_vectors.FILE.read_bytes() == receipt_vectors.content()


def test_the_vectors_hold_every_outcome_for_every_kind() -> None:
    for kind in ("write", "record", "access-row"):
        assert {case.outcome for case in CASES if case.name.startswith(f"{kind}: ")} == {"altered", "unusable"}
    assert {case.outcome for case in CASES} == {"verified", "altered", "unusable", "not-witnessed"}


@pytest.mark.parametrize(
    ("count", "required"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3), (8, 3), (9, 4), (100, 49)]
)
def test_enough_are_half_of_those_who_take_no_part(count: int, required: int) -> None:
    assert required_signatures(count) == required == max(1, -((2 - count) // 2))


def test_a_receipt_and_a_members_file_are_read_as_they_were_written() -> None:
    made = world()
    for kind, key in (("write", ACCESS), ("record", HEADS), ("access-row", HEADS)):
        receipt = made.receipt(key, kind=kind)
        assert parse_receipt(receipt.encode()) == receipt
    assert parse_members(members().encode()) == members()


def test_signatures_that_come_later_complete_a_receipt() -> None:
    made = world()
    receipt = made.receipt(ACCESS, "CMSP")
    with pytest.raises(Unavailable):
        verify_receipt(receipt, members())
    completed = receipt.with_notes([made.note("DMSP"), made.note("CMSP")])
    assert verify_receipt(completed, members()).signers == ("CMSP", "DMSP")


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row | {"kind": "access-row"},
        lambda row: row | {"path": row["path"] | {"incarnation": 2}},
        lambda row: row | {"key": row["key"].replace("HospitalAMSP", "HospitalBMSP")},
    ],
)
def test_a_leaf_proves_nothing_about_another_log(change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    fields = json.loads(world().receipt(HEADS, kind="record").encode())
    fields["proves"] = change(fields["proves"])
    altered = parse_receipt(json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    with pytest.raises(Tampered):
        verify_receipt(altered, members())


def test_a_leaf_that_names_another_custodian_proves_nothing() -> None:
    """A hospital anchors whatever it likes in its own log, also a leaf that says it is another's."""
    leaf = leaves.encode(replace(record_leaf(1), custodian="OtherMSP"))
    head = Head(1, encode_bytes(merkle.leaf_hash(leaf)))
    value = encode(LogEntry(None, head, head, 0)).decode()
    proven = Proven("record", HEADS, value, leaf.decode(), leaf_path(1, 0, 1, []))
    with pytest.raises(Tampered, match="another log"):
        _verify_leaf(proven)
