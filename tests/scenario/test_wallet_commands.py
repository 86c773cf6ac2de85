"""The wallet as a person uses it: ``yilian wallet …`` against live hospitals, in English and Chinese."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from domain.errors import Denied, NotFound
from node_service.client import wire
from patient_wallet.keys import derive
from patient_wallet.words import seed_of
from tests.scenario.actors import cheap_passphrases
from tests.scenario.network import Hospital, eventually, serve
from tests.scenario.test_story import emergency_patient
from yilian.ingestion import Feed
from yilian.main import obey
from yilian.synthetic.people import people
from yilian.synthetic.phantom import write_ct_phantom

PASSPHRASE = "a passphrase for a test"
HOME, AWAY, THIRD = "RenheMSP", "TongjiMSP", "MingdeMSP"
LANGUAGES = ("en", "zh")
IDENTIFIER = r"[a-z2-7]{26}"
CODES = {"invalid": 2, "denied": 3, "not found": 4, "conflict": 5, "unavailable": 7}
KINDS = {
    "invalid": ("Invalid: ", "输入无效："),
    "denied": ("Denied: ", "被拒绝："),
    "not found": ("Not found: ", "未找到："),
    "conflict": ("Conflict: ", "冲突："),
    "unavailable": ("Unavailable: ", "暂不可用："),
}


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    def fails(self, kind: str, language: str) -> str:
        """The explanation of a failure of this kind, told in this language."""
        assert self.code == CODES[kind], self
        told = self.err.replace("\n", "")
        opening = KINDS[kind][LANGUAGES.index(language)]
        assert opening in told, self
        assert "Traceback" not in self.out + self.err
        if language == "zh":
            assert re.search(r"[\u4e00-\u9fff]", told.partition(opening)[2]), f"not in Chinese: {told}"
        return told.partition(opening)[2]


@dataclass(frozen=True)
class Terminal:
    """A terminal with one wallet file, in one language."""

    file: Path
    language: str

    def wallet(self, *arguments: str, typed: str = "", passphrase: str | None = PASSPHRASE) -> Said:
        """Run ``yilian wallet``; what is typed answers the prompts."""
        environment = {
            "YILIAN_WALLET_FILE": str(self.file), "YILIAN_WALLET_PASSPHRASE": passphrase, "YILIAN_LANG": self.language,
        }  # fmt: skip
        with (
            patch.object(sys, "argv", ["yilian", "wallet", *arguments]),
            CliRunner().isolation(input=typed, env=environment) as (out, err, _mixed),
        ):
            code = _exit_code(obey)
            sys.stdout.flush()
            sys.stderr.flush()
            return Said(code, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, *arguments: str, typed: str = "") -> str:
        """Run a command that succeeds; what it printed."""
        said = self.wallet(*arguments, typed=typed)
        assert said.code == 0, said
        return said.out

    def says(self, english: str, chinese: str) -> str:
        return chinese if self.language == "zh" else english


def _exit_code(call: Callable[[], None]) -> int:
    try:
        call()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _cheap() -> Iterator[None]:
    with cheap_passphrases():
        yield


@pytest.fixture(params=LANGUAGES)
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "wallet.json", request.param)


def code_for(hospital: Hospital, patient: str) -> str:
    return hospital.staff("registrar").issue_enrolment_code(patient).code


@pytest.fixture
def patient(renhe: Hospital) -> tuple[str, str]:
    """A person with an allergy at the custodian: id, and the allergy's."""
    return emergency_patient(renhe)


@pytest.fixture
def at_home(terminal: Terminal, renhe: Hospital, patient: tuple[str, str]) -> Terminal:
    """A terminal whose wallet is enrolled at the custodian."""
    terminal.ok("create")
    terminal.ok("enrol", renhe.url, "--code", code_for(renhe, patient[0]))
    return terminal


# --- Words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["english", "chinese_simplified"])
def test_words_are_shown_once_and_restore_the_same_wallet_elsewhere(
    terminal: Terminal, tmp_path: Path, renhe: Hospital, patient: tuple[str, str], words: str
) -> None:
    shown = terminal.ok("create", "--words", words)
    found = dict(re.findall(r"(\d+) (\S+)", shown))
    spelled = " ".join(found[str(number)] for number in range(1, 25))
    assert len(seed_of(spelled).secret) == 64
    kept = re.sub(r"\W+", " ", terminal.file.read_text())
    # Two in a row: names of the file's own fields, such as "salt", are words of the list, too.
    assert not [pair for pair in pairwise(spelled.split()) if " ".join(pair) in kept]

    other = Terminal(tmp_path / "other.json", terminal.language)
    assert other.ok("restore", typed=f"{spelled}\n").endswith(
        other.says("Restored. Enrol at your hospitals again.\n", "已恢复。请在各医院重新登记。\n")
    )
    code = code_for(renhe, patient[0])
    assert other.says("Enrolled at", "登记") in other.ok("enrol", renhe.url, typed=f"{code}\n")
    card = json.loads(other.ok("card", HOME))
    assert card["wrap_key"] == derive(seed_of(spelled), HOME, 1).public.wrap
    assert HOME in other.ok("hospitals")
    assert HOME not in terminal.ok("hospitals")


def test_the_passphrase_is_asked_for_and_confirmed(terminal: Terminal) -> None:
    typed = f"{PASSPHRASE}\n{PASSPHRASE}\n"
    assert terminal.wallet("create", typed=typed, passphrase=None).code == 0
    said = terminal.wallet("hospitals", typed=f"{PASSPHRASE}\n", passphrase=None)
    assert (said.code, terminal.says("Not enrolled anywhere yet.", "尚未在任何医院登记。") in said.out) == (0, True)
    assert PASSPHRASE not in said.out + said.err


# --- The story ------------------------------------------------------------------------------------------------------


def test_records_are_listed_and_shown_whole(at_home: Terminal, renhe: Hospital, patient: tuple[str, str]) -> None:
    listed = at_home.ok("records", HOME)
    assert patient[1] in re.findall(IDENTIFIER, listed)
    assert len(set(re.findall(IDENTIFIER, listed))) == 2
    wait_for_keys(at_home, patient[1])
    assert at_home.ok("show", HOME, patient[1]).encode() == renhe.staff("dr").record_content(patient[1]) + b"\n"


def test_a_request_is_answered_by_a_grant_that_is_previewed_confirmed_read_and_revoked(
    at_home: Terminal, renhe: Hospital, tongji: Hospital, patient: tuple[str, str]
) -> None:
    assert at_home.says("Nobody asks.", "没有请求。") in at_home.ok("requests", HOME)
    assert at_home.says("Nothing granted yet.", "尚无授权。") in at_home.ok("grants", HOME)
    card = wire.PatientCard.model_validate_json(at_home.ok("card", HOME))
    message = "手术前想看过敏史 / allergies before surgery"
    asked = tongji.clinician.request_access(
        wire.AccessRequest(card=card, purpose="TREAT", categories=["allergy"], message=message)
    )
    (line,) = at_home.ok("requests", HOME).splitlines()
    assert line.split("\t") == [asked.id, AWAY, "dr 测试", "TREAT", message]

    arguments = ["grant", HOME, AWAY, tongji.url, "--request", asked.id, "--category", "allergy"]
    refused = at_home.wallet(*arguments, typed="n\n")
    assert refused.code == 1
    assert re.search(r"\b1 allergy", refused.out)
    preview = at_home.says(f"{AWAY} would see 1 records; 1 withheld", f"{AWAY} 将看到 1 份病历；你保留了 1 份")
    assert preview in refused.out
    assert at_home.says("Nothing granted yet.", "尚无授权。") in at_home.ok("grants", HOME)
    granted = at_home.ok(*arguments, typed="y\n")
    (grant,) = re.findall(at_home.says("Granted: ", "已授权：") + f"({IDENTIFIER})", granted)

    tongji.clinician.confirm_match(card.patient, grant, None)
    access = tongji.clinician.open_access(card.patient, grant, "TREAT").id
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    assert {item.entry.record for item in tongji.clinician.chart(access).items} == {patient[1]}
    seen = at_home.ok("accesses", HOME)
    lines = [set(re.split(r"\s*│\s*", line)) for line in seen.splitlines()]
    assert [line for line in lines if {"dr 测试", AWAY, "TREAT", "release", "1", "ok"} <= line]
    assert grant in re.findall(IDENTIFIER, at_home.ok("grants", HOME))

    revoked = at_home.ok("revoke", HOME, grant)
    assert at_home.says("What was released before cannot be called back.", "此前已释放的内容无法收回。") in revoked
    with pytest.raises(NotFound):
        tongji.clinician.record(access, patient[1])
    listed = at_home.ok("grants", HOME)
    assert grant in re.findall(IDENTIFIER, listed)
    assert re.search(rf"{grant}.*\brevoked\b", listed)


def test_everything_is_revoked_at_once_through_another_member(
    at_home: Terminal, tongji: Hospital, hospitals: dict[str, Hospital]
) -> None:
    grants = [
        re.findall(IDENTIFIER, at_home.ok("grant", HOME, AWAY, tongji.url, "--yes", "--category", category))[0]
        for category in ("allergy", "administrative")
    ]
    card = wire.PatientCard.model_validate_json(at_home.ok("card", HOME))
    at_home.ok("revoke-all", HOME, "--through", hospitals[THIRD].url)
    for grant in grants:
        tongji.clinician.confirm_match(card.patient, grant, None)
        with pytest.raises((NotFound, Denied)):
            tongji.clinician.open_access(card.patient, grant, "TREAT")
    yes = at_home.says("yes", "是")
    assert not re.search(rf"│\s*{yes}\s*│", at_home.ok("grants", HOME))


def test_a_dissent_stops_a_broken_glass_until_it_is_withdrawn(
    at_home: Terminal, renhe: Hospital, tongji: Hospital, patient: tuple[str, str]
) -> None:
    assert at_home.says("Nothing new.", "没有新通知。") in at_home.ok("notices", HOME)
    card = wire.PatientCard.model_validate_json(at_home.ok("card", HOME))
    body = wire.EmergencyBody(card=card, reason="unconscious", categories=["allergy"])
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    (dissent,) = re.findall(at_home.says("Refused: ", "已拒绝：") + f"({IDENTIFIER})", at_home.ok("dissent", HOME))
    refused = tongji.clinician.break_glass(body)
    with pytest.raises(NotFound):
        tongji.clinician.record(refused.id, patient[1])
    at_home.ok("withdraw", HOME, dissent)
    opened = tongji.clinician.break_glass(body)
    assert tongji.clinician.record(opened.id, patient[1]).entry.record == patient[1]
    assert re.search(rf"break-glass\t.*{opened.id}", at_home.ok("notices", HOME))


def test_an_export_holds_the_custodians_exact_bytes(
    at_home: Terminal, renhe: Hospital, patient: tuple[str, str], tmp_path: Path
) -> None:
    seed = int.from_bytes(os.urandom(4))  # a series that nobody else brought
    write_ct_phantom(tmp_path / "ct", seed, people(seed, 1, "en")[0])
    fed = Feed(renhe.staff("archive"), os.urandom, patient=patient[0]).files([tmp_path / "ct"], lambda _source: None)
    (series,) = [ref.record for ref in fed.stored]
    for record in (patient[1], series):
        wait_for_keys(at_home, record)
    assert "24" in at_home.ok("show", HOME, series)
    folder = tmp_path / "export"
    assert at_home.says("3 records, 26 files.", "3 份病历，26 个文件。") in at_home.ok("export", HOME, str(folder))
    index = json.loads((folder / "index.json").read_text())
    assert {item["record"] for item in index["records"]} >= {patient[1], series}
    for path in folder.glob("[!I]*/*.json"):
        assert path.read_bytes() == renhe.staff("dr").record_content(path.name.partition(".")[0])
    exported = sorted(digest(path) for path in (folder / "ImagingSeries").rglob("*.dcm"))
    assert exported == sorted(digest(path) for path in (tmp_path / "ct").iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*.dcm"))
    assert at_home.wallet("export", HOME, str(folder)).fails("invalid", at_home.language)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for_keys(terminal: Terminal, record: str) -> None:
    """The hospital wraps older records to the patient's key in the background."""
    eventually(lambda: terminal.wallet("show", HOME, record).code == 0)


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_is_denied_and_a_short_or_second_one_is_invalid(terminal: Terminal) -> None:
    assert terminal.wallet("create", passphrase="short").fails("invalid", terminal.language)
    terminal.ok("create")
    wrong = terminal.wallet("hospitals", passphrase="another passphrase")
    assert terminal.says("passphrase", "口令") in wrong.fails("denied", terminal.language)
    again = terminal.wallet("create")
    assert terminal.says("already", "已有") in again.fails("invalid", terminal.language)


def test_without_a_wallet_every_command_says_how_to_make_one(terminal: Terminal) -> None:
    for arguments in (["hospitals"], ["records", HOME], ["revoke", HOME, "a" * 26]):
        assert "yilian wallet create" in terminal.wallet(*arguments).fails("invalid", terminal.language)


def test_wrong_words_are_invalid_and_none_is_repeated(terminal: Terminal) -> None:
    said = terminal.wallet("restore", typed="zoo zoo zoo\n")
    assert "3" in said.fails("invalid", terminal.language)
    assert "zoo" not in said.err
    assert not terminal.file.exists()


def test_a_hospital_where_one_is_not_enrolled_is_not_found(at_home: Terminal, tongji: Hospital) -> None:
    unknown = [
        ["records", "NowhereMSP"], ["card", AWAY], ["grants", AWAY], ["requests", AWAY], ["accesses", AWAY],
        ["notices", AWAY], ["revoke", AWAY, "a" * 26], ["revoke-all", AWAY], ["dissent", AWAY],
        ["withdraw", AWAY, "a" * 26], ["show", AWAY, "a" * 26], ["grant", AWAY, HOME, tongji.url],
    ]  # fmt: skip
    for arguments in unknown:
        assert arguments[1] in at_home.wallet(*arguments).fails("not found", at_home.language)


def test_a_wrong_code_and_an_unknown_record_are_refused(at_home: Terminal, renhe: Hospital) -> None:
    other = Terminal(at_home.file.with_name("other.json"), at_home.language)
    other.ok("create")
    assert other.wallet("enrol", renhe.url, "--code", "0000-0000").fails("denied", other.language)
    assert HOME not in other.ok("hospitals")
    assert at_home.wallet("show", HOME, "a" * 26).fails("not found", at_home.language)
    again = at_home.wallet("enrol", renhe.url, "--code", code_for(renhe, emergency_patient(renhe)[0]))
    assert again.fails("conflict", at_home.language)


def test_another_hospital_at_the_readers_address_gets_nothing(
    at_home: Terminal, hospitals: dict[str, Hospital]
) -> None:
    said = at_home.wallet("grant", HOME, AWAY, hospitals[THIRD].url, "--yes")
    assert THIRD in said.fails("denied", at_home.language)


def test_a_hospital_that_is_down_is_unavailable_and_the_same_grant_goes_through_later(
    terminal: Terminal, hospitals: dict[str, Hospital], tongji: Hospital
) -> None:
    third = hospitals[THIRD]
    patient, _allergy = emergency_patient(third)
    terminal.ok("create")
    terminal.ok("enrol", third.url, "--code", code_for(third, patient))
    third.stop()
    try:
        for arguments in (["records", THIRD], ["grants", THIRD], ["grant", THIRD, AWAY, tongji.url, "--yes"]):
            assert terminal.wallet(*arguments).fails("unavailable", terminal.language)
        assert terminal.ok("card", THIRD)
        nobody = Terminal(terminal.file.with_name("other.json"), terminal.language)
        nobody.ok("create")
        assert nobody.wallet("enrol", third.url, "--code", "0000-0000").fails("unavailable", terminal.language)
    finally:
        hospitals[THIRD] = serve(third.settings)
    assert re.findall(IDENTIFIER, terminal.ok("grant", THIRD, AWAY, tongji.url, "--yes"))


def test_a_reader_that_is_down_gets_its_grant_later(at_home: Terminal, hospitals: dict[str, Hospital]) -> None:
    third = hospitals[THIRD]
    third.stop()
    try:
        said = at_home.ok("grant", HOME, THIRD, third.url, "--yes")
        assert "deliver" in said
        assert at_home.says("1 still waiting.", "仍有 1 份未送达。") in at_home.ok("deliver")
    finally:
        hospitals[THIRD] = serve(third.settings)
    assert at_home.says("0 still waiting.", "仍有 0 份未送达。") in at_home.ok("deliver")
    (grant,) = re.findall(at_home.says("Granted: ", "已授权：") + f"({IDENTIFIER})", said)
    assert grant in {one.id for one in hospitals[THIRD].clinician.grants()}


def test_the_installed_command_does_the_same(renhe: Hospital, tmp_path: Path, patient: tuple[str, str]) -> None:
    """Once as a process of its own, as a person starts it."""
    file = tmp_path / "wallet.json"
    environment = os.environ | {"YILIAN_WALLET_FILE": str(file), "YILIAN_WALLET_PASSPHRASE": PASSPHRASE}
    Terminal(file, "en").ok("create")
    command = [sys.executable, "-m", "yilian", "--lang", "zh", "wallet"]
    for arguments, code, told in (
        (["enrol", renhe.url, "--code", code_for(renhe, patient[0])], 0, "登记"),
        (["records", "NowhereMSP"], 4, "未找到"),
    ):
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True)
