"""What the embedded adapter does beyond the port; the port itself is in tests/conformance/ledger."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chaincode.stub import Response, Stub
from domain import jcs
from domain.errors import Invalid, OutcomeUnknown, Unavailable
from network.blocks.proposal import build_channel_header, build_payload, build_signature_header, sign_envelope
from network.blocks.transaction import HeaderType
from network.embedded import block_writer, committer
from network.embedded.founding import Founding
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.material import load_key_pair
from tests.unit.network.embedded.conftest import Open, StandingClock

PUT = jcs.canonical({"drawer": "a", "text": "x"})


def test_a_writer_that_holds_the_file_makes_submitting_unavailable_not_reading(
    founding: Founding, ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "LOCK_TIMEOUT_S", 0.02)
    with closing(sqlite3.connect(founding.directory / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            ledger.submit("Put", PUT)
        assert ledger.evaluate("List", {}) == []
        other.execute("ROLLBACK")
    assert ledger.height() == 2
    ledger.submit("Put", PUT)
    assert ledger.evaluate("List", {}) == ["x"]


def test_an_unknown_outcome_names_the_transaction(ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(tip: object, *arguments: object) -> None:
        raise OutcomeUnknown("the disk failed", tx_id="")

    signed = ledger.propose("Put", PUT)
    envelope = ledger.assemble(ledger.endorse(signed))
    monkeypatch.setattr(block_writer, "write_block", lost)
    with pytest.raises(OutcomeUnknown) as caught:
        ledger.broadcast(envelope)
    assert caught.value.tx_id == signed.proposal.tx_id


def envelope_of_type(founding: Founding, kind: HeaderType) -> bytes:
    signer = load_key_pair(Layout(founding.directory).identity("NorthMSP", "admin")).signer("NorthMSP")
    header = build_channel_header(kind, "care", "", 0)
    return sign_envelope(build_payload(header, build_signature_header(signer.identity, os.urandom(24)), b""), signer)


@pytest.mark.parametrize("kind", [HeaderType.CONFIG, HeaderType.CONFIG_UPDATE, HeaderType.MESSAGE])
def test_only_transactions_of_contracts_are_ordered(
    founding: Founding, ledger: EmbeddedLedger, kind: HeaderType
) -> None:
    with pytest.raises(Invalid):
        ledger.broadcast(envelope_of_type(founding, kind))
    assert ledger.height() == 2


@pytest.mark.parametrize("envelope", [b"", b"\xff" * 20, b"x" * (committer.MAX_ENVELOPE_BYTES + 1)])
def test_what_is_no_envelope_is_not_ordered(ledger: EmbeddedLedger, envelope: bytes) -> None:
    with pytest.raises(Invalid):
        ledger.broadcast(envelope)
    assert ledger.height() == 2


def test_an_answer_that_is_not_json_is_refused(founding: Founding, clock: StandingClock) -> None:
    def talkative(stub: Stub, name: str, arguments: bytes, /) -> Response:
        return Response(200, "", b"\xff not JSON")

    with (
        EmbeddedLedger(founding.directory, "NorthMSP", clock, os.urandom, contract=talkative) as ledger,
        pytest.raises(Invalid),
    ):
        ledger.evaluate("Read", {})


def test_a_closed_ledger_is_unavailable(opened: Open) -> None:
    ledger = opened("NorthMSP")
    ledger.close()
    with pytest.raises(Unavailable):
        ledger.height()


def test_a_directory_without_a_ledger_is_refused(tmp_path: Path, clock: StandingClock) -> None:
    with pytest.raises(Invalid) as caught:
        EmbeddedLedger(tmp_path, "NorthMSP", clock, os.urandom)
    assert caught.value.reason == "not-a-ledger"


def test_a_founding_that_broke_off_is_no_ledger(founding: Founding, clock: StandingClock) -> None:
    for path in founding.directory.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(Unavailable):
        EmbeddedLedger(founding.directory, "NorthMSP", clock, os.urandom)


def test_blocks_before_the_first_are_refused(ledger: EmbeddedLedger) -> None:
    with pytest.raises(Invalid):
        list(ledger.blocks(-1))
