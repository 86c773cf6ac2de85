"""Targets: what is handed over as proof, and believed only after it was verified."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import Final

from domain import effective, jcs, witness_answers
from domain.checkpoints import parse_note
from domain.erasure import parse_certificate, verify_certificate
from domain.errors import Tampered, Unavailable
from domain.forks import Fork, parse_fork, verify_fork
from domain.receipt_form import Receipt, ReceiptReader, parse_members, parse_receipt
from domain.receipts import verify_receipt
from domain.witness_key import WitnessPublicKey, parse_witness_key
from domain.witness_log import parse_entry, parse_write_leaf
from tests.fuzz.target import Target, accepted, as_json
from tests.unit.domain import receipt_vectors as vectors
from tests.unit.domain import test_erasure as erasure
from tests.unit.domain import test_forks as forks
from tests.unit.domain import test_witness_texts as texts

_MEMBERS: Final = vectors.members()


def fuzz_receipt(data: bytes) -> None:
    """A receipt has one spelling, however it is read; what verifies proves what was proven before."""
    read = accepted(partial(parse_receipt, data))
    assert accepted(partial(ReceiptReader().parse, data)) == read
    for receipt in read:
        assert receipt.encode() == data
        for _ in accepted(partial(verify_receipt, receipt, _MEMBERS, ()), Tampered, Unavailable):
            assert _claims(receipt) in map(_claims, _proven()), "a receipt was forged"


def fuzz_members(data: bytes) -> None:
    """A members file has one spelling; no key counts for two."""
    for members in accepted(partial(parse_members, data)):
        assert members.encode() == data
        keys = [key for own in members.keys.values() for key in own]
        assert len(keys) == len(set(keys))


def fuzz_fork(data: bytes) -> None:
    """A fork proof has one spelling; nobody is convicted by what no witness signed."""
    for fork in accepted(partial(parse_fork, data)):
        assert fork.encode() == data
        for verified in accepted(partial(verify_fork, fork, forks.MEMBERS), Tampered):
            shown = (fork.first.checkpoint, fork.second.checkpoint)
            assert shown in [(one.first.checkpoint, one.second.checkpoint) for one in _forks()], "a fork was forged"
            assert verified.first_signers
            assert verified.second_signers


def fuzz_certificate(data: bytes) -> None:
    """``signature`` newline ``text``: a certificate has one spelling, and one signature."""
    signature, _, rest = data.partition(b"\n")
    text = rest.decode("utf-8", "surrogateescape")
    for certificate in accepted(partial(parse_certificate, text)):
        assert certificate.encode() == text
    asked = partial(verify_certificate, text, signature.decode("latin-1"), erasure.PUBLIC)
    for _ in accepted(asked, Tampered):
        assert data in _certificates(), "a certificate was forged"


def fuzz_witness(data: bytes) -> None:
    """Answers of witnesses, the word of custodians, entries of the log, leaves and keys."""
    for value in accepted(partial(jcs.load, data, max_bytes=1 << 16, max_depth=32)):
        for signed in accepted(partial(witness_answers.from_json, value)):
            asked = partial(witness_answers.verify_answer, signed, keys=texts.KEYS, **_ASKED)
            for answer in accepted(asked, Tampered):
                assert answer == texts.ANSWER, "an answer was forged"
        for signed in accepted(partial(effective.from_json, value)):
            word = partial(effective.verify_effective, signed, keys=texts.KEYS, **_WORD)
            for said in accepted(word, Tampered):
                assert said == texts.WORD, "the custodian's word was forged"
    for entry in accepted(partial(parse_entry, data)):
        assert entry.encode() == data
    for leaf in accepted(partial(parse_write_leaf, data)):
        assert jcs.canonical([leaf.transaction, leaf.tx_id, leaf.key, leaf.digest]) == data
    for key in accepted(partial(parse_witness_key, data)):
        assert key.encode() == data


_ASKED: Final = {"channel": "care", "msp_id": "AMSP", "nonce": texts.NONCE}
_WORD: Final = {"channel": "care", "custodian": "AMSP", "statement": texts.WORD.statement}


@cache
def _proven() -> tuple[Receipt, ...]:
    made = vectors.world()
    signed = [("CMSP", "DMSP"), vectors.MEMBERS]
    kinds = [("write", vectors.ACCESS), ("record", vectors.HEADS), ("access-row", vectors.HEADS)]
    return tuple(made.receipt(key, *signers, kind=kind) for kind, key in kinds for signers in signed)


def _claims(receipt: Receipt) -> object:
    """All but who signed: lines of others change nothing."""
    return receipt.channel, receipt.proves, receipt.write, receipt.block, parse_note(receipt.checkpoint).checkpoint


@cache
def _forks() -> list[Fork]:
    return [forks.a_fork(), forks.a_fork(8, 8)]


@cache
def _certificates() -> list[bytes]:
    made = [erasure.certificate(), erasure.certificate(kept=()), erasure.certificate(statement=None)]
    return [f"{erasure.signed(one.encode())}\n{one.encode()}".encode() for one in made]


def _witness_texts() -> list[bytes]:
    answer = witness_answers.sign_answer(texts.ANSWER, texts.PRIVATE.sign)
    word = effective.sign_effective(texts.WORD, texts.PRIVATE.sign)
    made = vectors.world()
    key = WitnessPublicKey("care", "AMSP", vectors.members("AMSP").members[0].witness[0])
    signed = [as_json(witness_answers.to_json(answer)), as_json(effective.to_json(word))]
    return [*signed, json.loads(signed[0])["answer"].encode(), made.entries[1], *made.leaves, key.encode()]


TARGETS: Final = (
    Target("receipt", fuzz_receipt, lambda: [receipt.encode() for receipt in _proven()]),
    Target("members", fuzz_members, lambda: [_MEMBERS.encode(), vectors.members("AMSP", ledger="embedded").encode()]),
    Target("fork", fuzz_fork, lambda: [fork.encode() for fork in _forks()]),
    Target("certificate", fuzz_certificate, _certificates),
    Target("witness", fuzz_witness, _witness_texts),
)
