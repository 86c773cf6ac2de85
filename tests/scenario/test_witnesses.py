"""Hospitals whose releases need each other's witnesses: real processes, killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import Denied, NotFound, Unavailable
from domain.receipt_form import parse_members, parse_receipt
from domain.receipts import verify_receipt
from node_service.client.wire import StaffAccount
from patient_wallet.drafts import GrantChoice
from patient_wallet.proof_commands import told_refusal
from patient_wallet.wallet import Wallet
from tests.receipt_programs import check_verified
from tests.scenario.actors import TIMEOUT_S, Actors, acting, eventually, new_wallet
from tests.scenario.test_wallet_commands import LANGUAGES, Terminal
from tests.unit.node_service.erasure.office import keep_nothing
from yilian.demo.network import Hospital, WitnessProcess

NAMES = {"RenheMSP": "Renhe", "MingdeMSP": "Mingde", "AnkangMSP": "Ankang"}
HOME, AWAY, THIRD = NAMES
CLINICIAN_WAITS_S = 8.0
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Shared:
    """A patient of the custodian, granted to the reader, with an access open there."""

    actors: Actors
    wallet: Wallet
    patient: str
    grant: str
    access: str
    file: Path

    @property
    def third(self) -> Hospital:
        return self.actors.network.hospitals[2]

    @property
    def voice(self) -> WitnessProcess:
        """The only witness of no party."""
        assert self.third.witness is not None
        return self.third.witness


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("witnesses")
    settings = {HOME: {"RETENTION_FILE": keep_nothing(folder)}}
    with acting(folder / "network", NAMES, witnesses=True, settings=settings) as actors:
        allergy: dict[str, Any] = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p"}}
        allergies = [{**allergy, "id": what, "code": {"text": what}} for what in ("nuts", "milk")]
        for resource in ({"resourceType": "Patient", "id": "p"}, *allergies):
            actors.archive.ingest_fhir(json.dumps(resource).encode(), source="his")
        actors.wait_anchored()
        (person,) = actors.patients()
        wallet = new_wallet(folder / "wallet.json")
        wallet.enrol(actors.home.url, actors.registrar.issue_enrolment_code(person.patient).code)
        granted = wallet.grant(HOME, GrantChoice(grantee=AWAY), actors.away.url)
        actors.shared.confirm_match(granted.patient, granted.id, None)
        access = actors.shared.open_access(granted.patient, granted.id, "TREAT").id
        yield Shared(actors, wallet, person.patient, granted.id, access, folder / "wallet.json")


def test_records_become_witnessed_by_the_other_hospitals(shared: Shared) -> None:
    status = eventually(shared.actors.archive.status, lambda now: now.witnessed == now.records)
    assert status.witnessed == status.anchored > 0
    assert {entry.state for entry in shared.wallet.records(HOME)} == {"witnessed"}
    metrics = httpx.get(f"{shared.actors.home.url}/metrics", timeout=TIMEOUT_S).text
    assert "yilian_records_witnessed" in metrics


def test_without_a_third_hospitals_witness_a_clinician_is_told_in_words_in_time(shared: Shared) -> None:
    assert shared.actors.shared.chart(shared.access).items
    shared.voice.stop()
    try:
        time.sleep(1.0)  # an answer serves for half a second
        started = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            shared.actors.shared.chart(shared.access)
        assert time.monotonic() - started < CLINICIAN_WAITS_S
        assert refused.value.reason == "no-witness"
        assert "witness" in refused.value.detail
    finally:
        shared.voice.start(shared.third.environment)
    eventually(lambda: _reads(shared), bool)


def _reads(shared: Shared) -> bool:
    try:
        return bool(shared.actors.shared.chart(shared.access).items)
    except Unavailable:
        return False


def test_an_auditor_takes_a_receipt_that_verifies_from_files_alone(shared: Shared, tmp_path: Path) -> None:
    eventually(shared.actors.archive.status, lambda now: now.witnessed == now.records)
    (tmp_path / "members.json").write_bytes(shared.wallet.members(HOME).file.encode())
    password = "an auditor's passphrase"
    shared.actors.home.administrator().open_account(_auditor(password))
    record = next(iter(shared.wallet.records(HOME))).record
    command = [
        sys.executable, "-m", "yilian", "--lang", "en", "audit", "receipt", "record", record, "--node",
        shared.actors.home.url, "--username", "auditor", "--members", str(tmp_path / "members.json"),
        "--out", str(tmp_path / "receipt.json"),
    ]  # fmt: skip
    environment = os.environ | {"YILIAN_STAFF_PASSWORD": password}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "Single operator" in done.stdout
    verified = verify_receipt(parse_receipt((tmp_path / "receipt.json").read_bytes()), shared.wallet.members(HOME).file)
    assert HOME not in verified.signers
    said = check_verified(tmp_path / "receipt.json", tmp_path / "members.json")
    assert (said["kind"], tuple(said["signers"])) == ("record", verified.signers)


def _auditor(password: str) -> StaffAccount:
    return StaffAccount(username="auditor", password=password, display_name="Auditor", roles=["audit-administrator"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wallet_shows_receipts_and_writes_them_with_the_members_file(
    shared: Shared, tmp_path: Path, language: str
) -> None:
    terminal = Terminal(shared.file, language)
    members, receipt = tmp_path / "members.json", tmp_path / "receipt.json"
    said = terminal.ok("members", HOME, "--out", str(members))
    assert all(name in said for name in NAMES)
    assert terminal.says("Single operator", "单一运营者") in said
    row = next(one.row.id for one in shared.wallet.accesses(HOME) if one.row.organisation == AWAY)
    eventually(lambda: terminal.wallet("receipt", HOME, row, "--out", str(receipt)).code, lambda code: code == 0)
    verified = verify_receipt(parse_receipt(receipt.read_bytes()), parse_members(members.read_bytes()))
    assert verified.signers == (THIRD,)
    listed = terminal.ok("accesses", HOME)
    (line,) = [line for line in listed.splitlines() if row in line]
    assert terminal.says("verified, block", "已验证，区块") in line
    missing = terminal.wallet("receipt", HOME, "a" * 26, "--out", str(receipt))
    assert missing.fails("not found", language)
    judged = check_verified(receipt, members)
    assert (judged["kind"], judged["block"], judged["signers"]) == ("access-row", verified.block, [THIRD])


def test_receipts_outlive_what_was_erased(shared: Shared, tmp_path: Path) -> None:
    """Those from before the erasure, and those that are fetched after it."""
    terminal = Terminal(shared.file, "en")
    members = tmp_path / "members.json"
    terminal.ok("members", HOME, "--out", str(members))
    erased = next(one.record for one in shared.wallet.records(HOME) if one.resource_type == "AllergyIntolerance")
    row = next(one.row.id for one in shared.wallet.accesses(HOME) if erased in one.row.records)

    def fetched(kind: str, name: str, when: str) -> Path:
        out = tmp_path / f"{kind}-{when}.json"
        command = ("receipt", HOME, name, "--kind", kind, "--out", str(out))
        eventually(lambda: terminal.wallet(*command).code, lambda code: code == 0)
        return out

    before = [fetched("record", erased, "before"), fetched("access-row", row, "before")]
    case = shared.wallet.erasures.ask(HOME, [erased])
    office = shared.actors.home.employ("office", "Office", "privacy-officer").client
    office.decide_erasure(case.id)
    eventually(lambda: [item.state for item in office.erasure(case.id).items], lambda states: states == ["erased"])
    with pytest.raises(NotFound):
        shared.wallet.open(HOME, erased)
    after = [fetched("record", erased, "after"), fetched("access-row", row, "after")]
    for receipt in (*before, *after):
        said = check_verified(receipt, members)
        assert said["kind"] == receipt.name.rpartition("-")[0]
        assert said["signers"]


def test_a_revocation_is_proven_effective_and_obeyed_within_a_second(shared: Shared) -> None:
    """Last: it ends the grant of this module."""
    done = shared.wallet.revoke(HOME, shared.grant)
    said = time.monotonic()
    told = told_refusal(done, lambda english, _chinese: english)
    assert "Revoked in block" in told
    assert "Effective since" in told
    assert done.state == "effective"
    assert done.receipt is not None
    assert done.receipt.signers == (THIRD,)
    assert set(done.accepted_by) == {shared.actors.home.url, shared.third.url}
    with pytest.raises((NotFound, Denied)):
        shared.actors.shared.chart(shared.access)
    assert time.monotonic() - said < 1.0
