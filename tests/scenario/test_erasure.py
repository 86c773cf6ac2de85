"""Erasure over HTTP with three hospitals: asked by the wallet, decided by the office, attested, certified, shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.identifiers import identifier
from node_service.client import erasure_wire
from node_service.composition import build
from patient_wallet.drafts import GrantChoice
from patient_wallet.erasure_commands import told_case
from patient_wallet.wallet import Wallet
from tests.scenario.actors import cheap_passphrases
from tests.scenario.network import PASSWORD, Hospital, consortium, eventually, make_settings
from tests.scenario.test_wallet_commands import Terminal
from tests.unit.node_service.erasure.office import keep_nothing
from yilian.language import Language, text
from yilian.main import build as build_application

PRESSURE = "CANARY-erased-151"


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hospital]]:
    """The custodian's rules keep nothing but what its inpatient encounters hold."""
    folder = tmp_path_factory.mktemp("erasing")
    with consortium(folder, retention_file=keep_nothing(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def renhe(hospitals: dict[str, Hospital]) -> Hospital:
    return hospitals["RenheMSP"]


@pytest.fixture(scope="module")
def tongji(hospitals: dict[str, Hospital]) -> Hospital:
    return hospitals["TongjiMSP"]


def admitted(hospital: Hospital, number: int) -> tuple[str, dict[str, str]]:
    """A person with a problem and a result: patient id, and records by type."""
    subject = {"reference": f"urn:uuid:00000000-0000-4000-8000-{number:012d}"}
    resources = [
        {"resourceType": "Patient", "id": f"e{number}", "name": [{"family": f"Erased{number}"}]},
        {"resourceType": "Condition", "id": f"c{number}", "subject": subject, "code": {"text": "kept"}},
        {"resourceType": "Observation", "id": f"o{number}", "status": "final", "subject": subject,
         "code": {"text": PRESSURE}},
    ]  # fmt: skip
    entries = [
        {"fullUrl": subject["reference"] if at == 0 else f"urn:uuid:{number:08d}-0000-4000-8000-{at:012d}",
         "resource": one}
        for at, one in enumerate(resources)
    ]  # fmt: skip
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    report = hospital.staff("archive").ingest_fhir(body, source="his")
    patient = next(one.patient for one in report.stored if one.patient is not None)
    return patient, {one.resource_type: one.record for one in report.stored}


def enrolled(hospital: Hospital, wallet: Wallet, patient: str) -> Wallet:
    wallet.enrol(hospital.url, hospital.staff("registrar").issue_enrolment_code(patient).code)
    return wallet


def test_an_erasure_is_asked_decided_attested_and_certified(
    renhe: Hospital, tongji: Hospital, new_wallet: Callable[[], Wallet]
) -> None:
    patient, records = admitted(renhe, 1)
    wallet = enrolled(renhe, new_wallet(), patient)
    granted = wallet.grant("RenheMSP", GrantChoice(grantee="TongjiMSP"), tongji.url)
    tongji.clinician.confirm_match(granted.patient, granted.id, None)
    eventually(lambda: renhe.staff("archive").status().outbox == 0)
    access = tongji.clinician.open_access(granted.patient, granted.id, "TREAT")
    assert records["Observation"] in {one.entry.record for one in tongji.clinician.chart(access.id).items}

    asked = wallet.erasures.ask("RenheMSP", [records["Observation"]], through=tongji.url)
    office = renhe.staff("privacy")
    assert asked.id in {case.id for case in office.erasures().items}
    assert [item.state for item in office.erasure(asked.id).items] == ["requested"]
    office.decide_erasure(asked.id)
    eventually(lambda: [item.state for item in office.erasure(asked.id).items] == ["erased"])
    eventually(lambda: [one.msp_id for one in office.erasure(asked.id).items[0].attested] == ["TongjiMSP"])

    for read_again in (
        lambda: renhe.staff("dr").record_content(records["Observation"]),
        lambda: wallet.open("RenheMSP", records["Observation"]),
        lambda: tongji.clinician.record(access.id, records["Observation"]),
    ):
        with pytest.raises(NotFound):
            read_again()
    assert b"kept" in renhe.staff("dr").record_content(records["Condition"])
    assert "shared-record-erased" in {one.event for one in tongji.staff("dr").notices()}

    def certified() -> bool:
        (shown,) = wallet.erasures.cases("RenheMSP")
        assert shown.problem is None
        return shown.certificate is not None and bool(shown.certificate.erased[0].attested)

    eventually(certified)
    (shown,) = wallet.erasures.cases("RenheMSP")
    english, chinese = ("\n".join(told_case(shown, text(language))) for language in ("en", "zh"))
    assert "Copies that readers made are not provable" in english
    assert "TongjiMSP: copies destroyed, attested" in english
    assert "读者自行制作的副本无法证明" in chinese
    rows = [access.row for access in wallet.accesses("RenheMSP") if access.row.action == "erase"]
    assert [row.outcome for row in rows] == ["requested", "ordered", "ok"]


def test_nobody_but_the_officers_decides_and_nobody_asks_for_anothers_record(
    renhe: Hospital, new_wallet: Callable[[], Wallet]
) -> None:
    patient, records = admitted(renhe, 2)
    other, _ = admitted(renhe, 3)
    wallet = enrolled(renhe, new_wallet(), other)
    with pytest.raises(NotFound):
        wallet.erasures.ask("RenheMSP", [records["Observation"]])
    assert wallet.erasures.cases("RenheMSP") == []
    own = enrolled(renhe, new_wallet(), patient)
    asked = own.erasures.ask("RenheMSP", [records["Observation"]])
    for refused in ("dr", "registrar", "auditor"):
        with pytest.raises(Denied):
            renhe.staff(refused).decide_erasure(asked.id)
    assert PRESSURE.encode() in renhe.staff("dr").record_content(records["Observation"])


def test_a_record_of_the_wrong_patient_moves_and_leaves_the_wallet(
    renhe: Hospital, new_wallet: Callable[[], Wallet]
) -> None:
    wrong, records = admitted(renhe, 4)
    right, _ = admitted(renhe, 5)
    wallet = enrolled(renhe, new_wallet(), wrong)
    done = renhe.staff("archive").retract(records["Observation"], "wrong-patient", right)
    (filed,) = done.filed
    with pytest.raises(NotFound):
        wallet.open("RenheMSP", records["Observation"])
    shown = next(entry for entry in wallet.records("RenheMSP") if entry.record == records["Observation"])
    assert (shown.status, shown.resource_type) == ("retracted", "")
    assert PRESSURE.encode() in renhe.staff("dr").record_content(filed.record)
    assert filed.record in {one.record for one in renhe.staff("dr").patient_records(right).items}
    with pytest.raises(Conflict):
        renhe.staff("archive").retract(records["Observation"], "wrong-patient", right)


def test_a_lock_is_seen_by_the_patient_and_by_the_ledger(renhe: Hospital, new_wallet: Callable[[], Wallet]) -> None:
    patient, records = admitted(renhe, 6)
    wallet = enrolled(renhe, new_wallet(), patient)
    renhe.staff("privacy").lock(records["Condition"], "litigation", "2090-01-01T00:00:00Z")
    asked = wallet.erasures.ask("RenheMSP", [records["Condition"]])
    renhe.staff("privacy").decide_erasure(asked.id)
    (shown,) = wallet.erasures.cases("RenheMSP")
    assert [(one.state, one.rule) for one in shown.case.items] == [("locked", "hold-litigation")]
    assert "2090-01-01T00:00:00Z" in "\n".join(told_case(shown, text("en")))
    assert erasure_wire.ErasureCase.model_validate(shown.case.model_dump()).certificate is None


def test_the_file_of_rules_is_read_before_the_node_serves(tmp_path: Path) -> None:
    broken = tmp_path / "rules.toml"
    broken.write_text("version = 1")
    settings = make_settings(tmp_path, "RenheMSP", "仁和").model_copy(update={"retention_file": str(broken)})
    with pytest.raises(Invalid, match=r"rules\.toml"):
        build(settings)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_commands_carry_an_erasure_from_the_wish_to_the_certificate(
    renhe: Hospital, tmp_path: Path, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, records = admitted(renhe, 7 if language == "en" else 8)
    terminal = Terminal(tmp_path / "wallet.json", language)
    with cheap_passphrases():
        terminal.ok("create")
    terminal.ok("enrol", renhe.url, "--code", renhe.staff("registrar").issue_enrolment_code(patient).code)
    assert terminal.ok("erasures", "RenheMSP") == terminal.says(
        "Nothing was erased or asked to be.\n", "没有删除或删除请求。\n"
    )
    assert terminal.wallet("erase", "RenheMSP", records["Observation"], typed="n\n").code == 1
    terminal.wallet("erase", "RenheMSP", "--yes", identifier(bytes(16))).fails("not found", language)
    asked = terminal.ok("erase", "RenheMSP", "--yes", records["Observation"])
    case = re.findall(r"[a-z2-7]{26}", asked)[0]

    renhe.staff("privacy")
    monkeypatch.setenv("YILIAN_STAFF_PASSWORD", PASSWORD)
    staff = ["--username", "privacy", "--node", renhe.url]
    commands = build_application(text(language))
    listed = CliRunner().invoke(commands, ["erasure", "list", *staff])
    assert f"{records['Observation']}\trequested" in listed.output, listed.output
    decided = CliRunner().invoke(commands, ["erasure", "decide", case, *staff])
    assert f"{records['Observation']}\terasing" in decided.output, decided.output

    proven = terminal.says("signature verified", "签名已验证")
    eventually(lambda: proven in terminal.ok("erasures", "RenheMSP"))
    assert terminal.says("Copies that readers made are not provable", "读者自行制作的副本无法证明") in terminal.ok(
        "erasures", "RenheMSP"
    )
    ordered = CliRunner().invoke(commands, ["erasure", "order", records["Condition"], "--yes", *staff])
    assert ordered.exit_code == 0, ordered.output
    locked = CliRunner().invoke(
        commands, ["erasure", "lock", records["Patient"], "litigation", "2090-01-01T00:00:00Z", *staff]
    )
    assert "2090-01-01T00:00:00Z" in locked.output
    retracted = CliRunner().invoke(commands, ["erasure", "retract", records["Patient"], "entered-in-error", *staff])
    assert records["Patient"] in retracted.output, retracted.output
