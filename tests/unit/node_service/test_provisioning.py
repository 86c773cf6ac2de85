from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import Conflict, Invalid, OutcomeUnknown, Unavailable, YilianError
from domain.identifiers import encode_bytes
from domain.ports import TransactionStatus
from domain.witness_key import WitnessPublicKey
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from node_service import provisioning, secrets
from node_service.client.wire import StaffAccount
from node_service.composition import CUSTODY_FOLDER, SystemClock, build
from node_service.organization_keys import signing_kid
from node_service.provisioning import initialise
from node_service.settings import Settings

PASSWORD = "correct horse battery staple"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    init(tmp_path / "ledger", "yilian", ["AMSP"], clock=SystemClock(), random=os.urandom)
    return Settings.from_environment(
        {}, msp_id="AMSP", name="A", data_dir=tmp_path / "node", ledger_dir=tmp_path / "ledger"
    )


def registered(settings: Settings) -> dict[str, str | None]:
    """Published keys and until when they are valid."""
    running = build(settings)
    try:
        entry = running.node.ledger.evaluate("QueryOrganization", {"msp": "AMSP"})
    finally:
        running.resources.close()
    assert isinstance(entry, dict)
    assert entry["url"] == settings.public_url
    keys = entry["keys"]
    assert isinstance(keys, list)
    return {str(key["kid"]): key["valid_until"] for key in keys if isinstance(key, dict)}  # type: ignore[misc]


def test_a_node_is_made_once_and_a_second_run_changes_nothing(settings: Settings) -> None:
    first = initialise(settings)
    assert first.administrator is not None
    assert first.password is not None
    assert len(first.password) >= 20
    assert first.registered
    keys = (settings.data_dir / secrets.FILE_NAME).read_bytes()
    again = initialise(settings)
    assert (again.administrator, again.password, again.registered) == (None, None, False)
    assert (settings.data_dir / secrets.FILE_NAME).read_bytes() == keys


def test_only_the_owner_enters_the_folder_and_reads_keys(settings: Settings) -> None:
    initialise(settings, password=PASSWORD)
    for path in (settings.data_dir, settings.data_dir / CUSTODY_FOLDER):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (settings.data_dir / secrets.FILE_NAME, settings.data_dir / CUSTODY_FOLDER / "keyring.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_given_password_is_never_handed_back(settings: Settings) -> None:
    made = initialise(settings, password=PASSWORD)
    assert made.password is None
    assert PASSWORD not in repr(made)


def test_an_interrupted_run_is_completed_by_the_next(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> bool:
        raise Unavailable("the ledger is down")

    with monkeypatch.context() as broken:
        broken.setattr("node_service.provisioning.register", interrupted)
        with pytest.raises(Unavailable):
            initialise(settings, password=PASSWORD)
    assert initialise(settings, password=PASSWORD).registered


def late(monkeypatch: pytest.MonkeyPatch, *answers: YilianError | None) -> None:
    """A ledger that returns before the commit, as Fabric does: asked for the status, it first answers so."""
    real, told = EmbeddedLedger.status, list(answers)

    def status(ledger: EmbeddedLedger, tx_id: str) -> TransactionStatus | None:
        if not told:
            return real(ledger, tx_id)
        answer = told.pop(0)
        if answer is not None:
            raise answer
        return None

    monkeypatch.setattr(EmbeddedLedger, "status", status)
    monkeypatch.setattr(EmbeddedLedger, "wait_for_block", lambda *_arguments: True)


def test_registration_waits_for_its_block(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    late(monkeypatch, None, Unavailable("the peer is slow"), None)
    assert initialise(settings, password=PASSWORD).registered
    assert registered(settings)


def test_registration_that_is_in_no_block_in_time_is_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(monkeypatch)
    monkeypatch.setattr(EmbeddedLedger, "status", lambda *_arguments: None)
    monkeypatch.setattr(provisioning, "COMMIT_TIMEOUT_S", 0.2)
    with pytest.raises(OutcomeUnknown):
        initialise(settings, password=PASSWORD)


def test_a_password_that_is_too_short_is_refused_before_anything_is_made_and_not_shown(settings: Settings) -> None:
    with pytest.raises(Invalid) as refusal:
        initialise(settings, password="tooshort")
    assert "tooshort" not in str(refusal.value)
    assert not settings.data_dir.exists()
    with pytest.raises(ValueError, match="password") as wrong:
        StaffAccount(username="a", password="tooshort", display_name="a", roles=[])
    assert "tooshort" not in str(wrong.value)


@pytest.mark.parametrize("lost", [secrets.FILE_NAME, f"{CUSTODY_FOLDER}/keyring.json"])
def test_lost_keys_are_never_replaced_under_a_database_that_needs_them(settings: Settings, lost: str) -> None:
    initialise(settings, password=PASSWORD)
    (settings.data_dir / lost).unlink()
    with pytest.raises(Conflict) as refusal:
        initialise(settings, password=PASSWORD)
    assert refusal.value.reason == "keys-gone"


def test_a_new_address_is_published_and_the_keys_stay(settings: Settings) -> None:
    initialise(settings, password=PASSWORD)
    before = registered(settings)
    moved = settings.model_copy(update={"public_url": "http://127.0.0.1:9001"})
    assert initialise(moved, password=PASSWORD).registered
    assert registered(moved) == before


def test_keys_of_a_former_installation_are_ended_and_stay_published(settings: Settings) -> None:
    initialise(settings, password=PASSWORD)
    (former,) = [kid for kid in registered(settings) if kid.startswith("signing-")]
    renewed = settings.model_copy(update={"data_dir": settings.data_dir.with_name("renewed")})
    initialise(renewed, password=PASSWORD)
    keys = registered(renewed)
    assert keys[former] is not None
    assert keys[signing_kid(secrets.load(renewed.data_dir))] is None


def test_a_node_stops_within_five_seconds_and_leaves_no_thread(settings: Settings) -> None:
    initialise(settings, password=PASSWORD)
    before = set(threading.enumerate())  # other tests' hospitals may be at work in this process
    running = build(settings)
    running.start()
    assert running.stop()
    begun = set(threading.enumerate()) - before
    assert not [one.name for one in begun if one.name.startswith("yilian-")]


def with_witness(settings: Settings, folder: Path, seed: int, **fields: str) -> Settings:
    public = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32).public_key().public_bytes_raw()
    path = folder / f"witness-{seed}.json"
    key = WitnessPublicKey(**{"channel": "yilian", "msp": "AMSP", "key": encode_bytes(public), **fields})
    path.write_bytes(key.encode())
    return settings.model_copy(update={"witness_url": "http://127.0.0.1:9100", "witness_key_file": str(path)})


def test_the_witness_is_published_and_a_new_key_ends_the_old_one(settings: Settings, tmp_path: Path) -> None:
    initialise(settings, password=PASSWORD)
    witnessed = with_witness(settings, tmp_path, 1)
    assert initialise(witnessed, password=PASSWORD).registered
    assert not initialise(witnessed, password=PASSWORD).registered
    (first,) = [kid for kid in registered(settings) if kid.startswith("witness-")]
    assert initialise(with_witness(settings, tmp_path, 2), password=PASSWORD).registered
    keys = {kid: until for kid, until in registered(settings).items() if kid.startswith("witness-")}
    assert len(keys) == 2
    assert keys.pop(first) is not None
    assert list(keys.values()) == [None]
    running = build(settings)
    try:
        entry = running.node.ledger.evaluate("QueryOrganization", {"msp": "AMSP"})
    finally:
        running.resources.close()
    assert isinstance(entry, dict)
    assert entry["witness_url"] == "http://127.0.0.1:9100"


@pytest.mark.parametrize("fields", [{"msp": "BMSP"}, {"channel": "other"}])
def test_the_key_of_another_witness_is_not_published(
    settings: Settings, tmp_path: Path, fields: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match="another witness"):
        initialise(with_witness(settings, tmp_path, 1, **fields), password=PASSWORD)


def test_a_witness_key_file_that_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="witness"):
        initialise(settings.model_copy(update={"witness_key_file": str(tmp_path / "none")}), password=PASSWORD)
