"""What others write is shown as text: it moves no cursor, sets no colour, hides nothing and reverses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from domain import leaves, messages
from domain.identifiers import encode_bytes
from node_service.client import wire
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import seal_message
from patient_wallet import commands
from patient_wallet.registration import Registration
from tests.unit.patient_wallet.hostile_hospital import MSP, HostileHospital, an_id, enrolled, record_entry

HOSTILE = "Dr.\x1b[2J\x1b]0;x\x07\r\nAMSP\t\u202edenied\u2066\x9b1m[red]Li[/red]\u200b"
CONTROLS = "\x1b\x07\r\x9b\u202e\u2066\u200b"


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, hospital: HostileHospital, command: str) -> str:
    monkeypatch.setenv("COLUMNS", "300")
    wallet = ENROLLED[folder][0]
    monkeypatch.setattr(commands, "open_wallet", lambda *_: wallet)
    app = typer.Typer()
    commands.register(app, lambda english, _: english)
    done = CliRunner().invoke(app, ["wallet", command, MSP], catch_exceptions=False)
    assert done.exit_code == 0
    assert hospital.received
    return done.stdout


ENROLLED: dict[Path, tuple[object, Registration]] = {}


@pytest.fixture
def hospital(tmp_path: Path) -> HostileHospital:
    made = HostileHospital()
    ENROLLED[tmp_path] = enrolled(tmp_path, made)
    return made


def sealed(registration: Registration, info: messages.Info, text: bytes) -> dict[str, str]:
    public = RecipientPublicKey.parse("HPKE-X25519", registration.keys.public.wrap)
    message = seal_message(public, info, text)
    return {"kid": message.key_id, "alg": message.alg, "sealed": encode_bytes(message.sealed)}


def reader() -> wire.ReaderCard:
    return wire.ReaderCard(name=HOSTILE, role="doctor", department="", salt="")


def test_a_request(tmp_path: Path, hospital: HostileHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    registration, request = ENROLLED[tmp_path][1], an_id()
    content = wire.AccessRequestContent(
        id=request, requester=HOSTILE, practitioner=HOSTILE, reader=reader(), purpose=HOSTILE, categories=[],
        message=HOSTILE, valid_until=HOSTILE,
    )  # fmt: skip
    message = sealed(
        registration, messages.access_request(request, registration.patient), content.model_dump_json().encode()
    )
    hospital.answers["/wallet/requests"] = [
        {
            "id": request,
            "requester": HOSTILE,
            "valid_until": "2026-03-02T00:00:00Z",
            "received_at": "2026-03-01T12:00:00Z",
            "message": message,
        }
    ]
    shown = run(monkeypatch, tmp_path, hospital, "requests")
    assert not set(shown) & set(CONTROLS)
    assert len(shown.splitlines()) == 1
    assert shown.count("[red]Li[/red]") == 4


def test_a_notice(tmp_path: Path, hospital: HostileHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = {"id": 1, "event": HOSTILE, "references": [HOSTILE], "created_at": HOSTILE}
    hospital.answers["/wallet/notices"] = [notice]
    shown = run(monkeypatch, tmp_path, hospital, "notices")
    assert not set(shown) & set(CONTROLS)
    assert len(shown.splitlines()) == 1


def test_a_list_of_records(tmp_path: Path, hospital: HostileHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = record_entry(an_id(), HOSTILE).model_copy(update={"category": HOSTILE, "clinical_start": HOSTILE})
    hospital.answers["/wallet/records"] = {"items": [entry.model_dump()], "next": None}
    shown = run(monkeypatch, tmp_path, hospital, "records")
    assert not set(shown) & set(CONTROLS)
    assert shown.count("[red]Li[/red]") == 3


def test_a_reader(tmp_path: Path, hospital: HostileHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    registration = ENROLLED[tmp_path][1]
    row = leaves.AccessLeaf(
        id=an_id(), at="2026-03-01T12:00:00Z", action="read", organisation=MSP, actor="doctor", purpose="TREAT",
        access=None, patient=registration.patient, records=(), outcome="ok", salt=encode_bytes(bytes(32)),
    )  # fmt: skip
    message = sealed(registration, messages.reader(row.id, registration.patient), reader().model_dump_json().encode())
    entry = {"leaf": encode_bytes(leaves.encode(row)), "path": None, "reader": message}
    hospital.answers["/wallet/accesses"] = {"items": [entry], "next": None}
    shown = run(monkeypatch, tmp_path, hospital, "accesses")
    assert not set(shown) & set(CONTROLS)
    assert "[red]Li[/red]" in shown
