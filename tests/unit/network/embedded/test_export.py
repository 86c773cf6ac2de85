from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from domain import jcs
from domain.errors import Conflict, Invalid
from network.embedded.export import export
from network.embedded.founding import Founding, init
from network.embedded.ledger import EmbeddedLedger
from network.verifier.chain import verify_chain
from network.verifier.channel_file import read_channel_file
from network.verifier.contract import ContractReplayer
from network.verifier.folder import read_blocks
from network.verifier.report import VerifiedChain
from tests.conformance.ledger.drawers import drawers
from tests.unit.network.embedded.conftest import StandingClock


def verify(folder: Path, genesis: str) -> VerifiedChain:
    return verify_chain(
        read_blocks(folder),
        expected_genesis=bytes.fromhex(genesis),
        replay=ContractReplayer("yilian", lambda sequence: drawers if sequence == 1 else None),
    )


@pytest.fixture
def used(ledger: EmbeddedLedger) -> EmbeddedLedger:
    """A ledger with valid writes, a range read and a read conflict."""
    for text in "abc":
        ledger.submit("Put", jcs.canonical({"drawer": text, "text": text}))
    stale = ledger.assemble(ledger.endorse(ledger.propose("Append", jcs.canonical({"drawer": "a", "text": "1"}))))
    ledger.submit("Append", jcs.canonical({"drawer": "a", "text": "2"}))
    ledger.broadcast(stale)
    ledger.submit("Count", b"{}")
    ledger.submit("Empty", jcs.canonical({"drawer": "b"}))
    return ledger


def test_an_export_is_what_the_independent_verifier_proves(
    founding: Founding, used: EmbeddedLedger, tmp_path: Path
) -> None:
    assert export(founding.directory, tmp_path / "out") == used.height() == 9
    channel = read_channel_file(tmp_path / "out" / "channel.json")
    report = verify(tmp_path / "out", channel.genesis)
    assert (report.channel, report.height) == ("care", 9)
    assert report.codes == {"VALID": 8, "MVCC_READ_CONFLICT": 1}
    assert report.replayed == 6


def test_an_export_needs_no_keys(founding: Founding, used: EmbeddedLedger, tmp_path: Path) -> None:
    shutil.rmtree(founding.directory / "organisations")
    shutil.rmtree(founding.directory / "orderer")
    assert export(founding.directory, tmp_path / "out") == 9


def test_progress_is_told_block_by_block(founding: Founding, used: EmbeddedLedger, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export(founding.directory, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert told == [(number, 9) for number in range(1, 10)]


def test_a_repeated_export_adds_the_new_blocks(founding: Founding, used: EmbeddedLedger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(founding.directory, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.block")}
    used.submit("Put", jcs.canonical({"drawer": "z", "text": "z"}))
    assert export(founding.directory, out) == 10
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.block") if path.name in before} == before
    assert verify(out, founding.genesis).height == 10


def test_an_export_that_broke_off_is_completed(founding: Founding, used: EmbeddedLedger, tmp_path: Path) -> None:
    class BrokeOff(Exception):
        pass

    def break_off(done: int, total: int) -> None:
        if done == 4:
            raise BrokeOff

    out = tmp_path / "out"
    with pytest.raises(BrokeOff):
        export(founding.directory, out, break_off)
    assert not (out / "channel.json").exists()
    (out / "0002.block").write_bytes(b"half a blo")
    (out / "0004.block.part").write_bytes(b"half")
    export(founding.directory, out)
    assert verify(out, founding.genesis).height == 9
    assert not list(out.glob("*.part"))


def test_an_altered_export_is_not_repaired_in_silence(founding: Founding, used: EmbeddedLedger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(founding.directory, out)
    (out / "0002.block").write_bytes(b"something else")
    with pytest.raises(Conflict):
        export(founding.directory, out)
    assert (out / "0002.block").read_bytes() == b"something else"


def test_another_ledgers_export_is_left_alone(founding: Founding, clock: StandingClock, tmp_path: Path) -> None:
    other = init(tmp_path / "other", "care", ["NorthMSP"], clock=clock, random=os.urandom)
    export(founding.directory, tmp_path / "out")
    with pytest.raises(Conflict):
        export(other.directory, tmp_path / "out")


def test_a_folder_with_other_things_is_left_alone(founding: Founding, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.odt").write_text("x")
    with pytest.raises(Conflict):
        export(founding.directory, tmp_path / "out")


def test_a_directory_without_a_ledger_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        export(tmp_path, tmp_path / "out")
