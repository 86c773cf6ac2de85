"""PEM blocks as Go finds them."""

from __future__ import annotations

import pytest

from domain.errors import Invalid
from network.blocks.pem import read_block

BLOCK = b"-----BEGIN A-----\nQUJD\n-----END A-----\n"
TAKEN = {
    "plain": BLOCK,
    "text before": b"text\n" + BLOCK,
    "headers": BLOCK.replace(b"-\nQ", b"-\nProc-Type: 4\nDEK: x:y\n\nQ"),
    "headers without an empty line": BLOCK.replace(b"-\nQ", b"-\n:\nQ"),
    "no newline at the end": BLOCK[:-1],
    "spaces": BLOCK.replace(b"QUJD", b" QU\tJ\r\nD "),
    "carriage returns": BLOCK.replace(b"\n", b" \r\n"),
    "another without an end before": b"-----BEGIN B-----\n!\n" + BLOCK,
    "another of a wrong end before": b"-----BEGIN B-----\nQUJD\n-----END C-----\n" + BLOCK,
    "many headers": BLOCK.replace(b"-\nQ", b"-\n" + b"a:\n" * 20_000 + b"Q"),
}
REFUSED = {
    "nothing": b"",
    "not at the begin of a line": b" " + BLOCK,
    "other end": BLOCK.replace(b"END A", b"END B"),
    "text behind the end": BLOCK.replace(b"END A-----", b"END A----- x"),
    "letters that are none": BLOCK.replace(b"QUJD", b"QU!D"),
    "cut": BLOCK.replace(b"QUJD", b"QUJ"),
    "padding within": BLOCK.replace(b"QUJD", b"QQ==QUJD"),
    "headers alone": b"-----BEGIN A-----\n" + b"a:\n" * 20_000,
    "begins alone": b"-----BEGIN A:-----\n" * 3_000 + b"A" * 10_000,
}


@pytest.mark.parametrize("what", TAKEN)
def test_the_first_block_is_found(what: str) -> None:
    assert read_block(TAKEN[what]) == (b"A", b"ABC")


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_block_is_refused(what: str) -> None:
    with pytest.raises(Invalid):
        read_block(REFUSED[what])
