from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Denied, Invalid
from network.fabric.connection import Connection, PeerAddress
from node_service.addresses import check_address
from node_service.composition import SystemClock, open_ledger
from node_service.profiles import check_profile, note_key_origin
from node_service.settings import Settings

HTTPS = "https://a.example"


def settings(
    profile: str,
    *allowed: str,
    public_url: str = HTTPS,
    data_dir: Path = Path("/nowhere"),
    freshness: str = "witnesses",
) -> Settings:
    return Settings.from_environment(
        {}, profile=profile, msp_id="AMSP", name="A", data_dir=data_dir, ledger_dir=Path("/l"), allowed_nodes=allowed,
        public_url=public_url, freshness=freshness,
    )  # fmt: skip


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://localhost:8001/", "http://[::1]:8001"])
def test_the_demo_calls_this_machine_without_a_list(url: str) -> None:
    assert check_address(settings("demo"), url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("profile", "allowed", "url"),
    [
        ("demo", (), "http://169.254.169.254/latest"),
        ("demo", (), "http://192.168.1.1"),
        ("demo", (), "https://b.example"),
        ("demo", (), "file:///etc/passwd"),
        ("demo", (), "http://user:secret@127.0.0.1"),
        ("demo", (), "http://127.0.0.1/?next=x"),
        ("demo", (), "http://127.0.0.1.evil.example"),
        ("demo", ("http://127.0.0.1:1",), "http://127.0.0.1:2"),
        ("pilot", (), "https://b.example"),
        ("pilot", ("http://b.example",), "http://b.example"),
        ("pilot", ("https://b.example",), "https://b.example.evil"),
        ("production", ("https://10.0.0.7",), "https://10.0.0.7"),
        ("production", ("https://localhost",), "https://localhost"),
    ],
)
def test_every_other_address_is_refused(profile: str, allowed: tuple[str, ...], url: str) -> None:
    with pytest.raises(Denied):
        check_address(settings(profile, *allowed), url)


def test_a_listed_address_is_called_over_https() -> None:
    assert check_address(settings("production", "https://b.example/"), "https://b.example") == "https://b.example"


def test_production_refuses_the_embedded_ledger() -> None:
    with pytest.raises(Invalid) as refusal:
        check_profile(settings("production").model_copy(update={"custody_replica": "custody-2.example:8443"}))
    assert refusal.value.place == "YILIAN_LEDGER_DIR"


def test_production_runs_on_a_fabric_network() -> None:
    given = {"custody_replica": "custody-2.example:8443", "ledger_dir": None, "fabric_connection": Path("/c.json")}
    check_profile(settings("production").model_copy(update=given))


@pytest.mark.parametrize("given", [{}, {"ledger_dir": Path("/l"), "fabric_connection": Path("/c.json")}])
def test_a_node_stands_on_exactly_one_ledger(given: dict[str, Path]) -> None:
    with pytest.raises(Invalid) as refusal:
        Settings.from_environment({}, msp_id="AMSP", name="A", data_dir=Path("/d"), **given)
    assert (refusal.value.reason, refusal.value.place) == ("settings", "YILIAN_LEDGER_DIR")


def test_a_node_refuses_another_hospitals_connection_file(tmp_path: Path) -> None:
    peer = PeerAddress("BMSP", "127.0.0.1:7051", tmp_path / "ca.pem")
    path = tmp_path / "connection.json"
    path.write_bytes(Connection("c", "yilian", "0" * 64, "BMSP", tmp_path / "c", tmp_path / "k", peer).encode())
    given = Settings.from_environment({}, msp_id="AMSP", name="A", data_dir=tmp_path, fabric_connection=path)
    with pytest.raises(Invalid) as refusal:
        open_ledger(given, SystemClock(), bytes)
    assert refusal.value.place == "YILIAN_FABRIC_CONNECTION"


def test_production_refuses_record_secrets_on_one_host() -> None:
    with pytest.raises(Invalid) as refusal:
        check_profile(settings("production"))
    assert refusal.value.place == "YILIAN_CUSTODY_REPLICA"
    check_profile(settings("pilot"))


@pytest.mark.parametrize("profile", ["pilot", "production"])
def test_outside_the_demo_plain_http_is_refused(profile: str) -> None:
    with pytest.raises(Invalid):
        check_profile(settings(profile, public_url="http://a.example"))
    with pytest.raises(Invalid):
        check_profile(settings(profile, "http://b.example"))


@pytest.mark.parametrize("profile", ["pilot", "production"])
def test_outside_the_demo_the_ledger_alone_does_not_say_what_is_fresh(profile: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_profile(settings(profile, freshness="ledger"))
    assert refusal.value.place == "YILIAN_FRESHNESS"
    check_profile(settings("demo", freshness="ledger"))


@pytest.mark.parametrize("profile", ["demo", "pilot", "production"])
def test_on_fabric_the_own_peer_alone_does_not_say_what_is_fresh(profile: str) -> None:
    given = {"ledger_dir": None, "fabric_connection": Path("/c.json")}
    with pytest.raises(Invalid) as refusal:
        check_profile(settings(profile, freshness="ledger").model_copy(update=given))
    assert refusal.value.place == "YILIAN_FRESHNESS"


def test_keys_made_for_a_demo_are_refused_outside_it(tmp_path: Path) -> None:
    note_key_origin(settings("demo", data_dir=tmp_path))
    check_profile(settings("demo", data_dir=tmp_path))
    with pytest.raises(Invalid, match="demo"):
        check_profile(settings("pilot", data_dir=tmp_path))


def test_a_note_on_the_keys_origin_is_never_overwritten(tmp_path: Path) -> None:
    note_key_origin(settings("demo", data_dir=tmp_path))
    note_key_origin(settings("pilot", data_dir=tmp_path))
    with pytest.raises(Invalid):
        check_profile(settings("pilot", data_dir=tmp_path))
