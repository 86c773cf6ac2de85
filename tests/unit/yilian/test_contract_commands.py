"""``yilian contract`` writes packages that carry what it was told, and serves as the module does."""

from __future__ import annotations

import io
import json
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chaincode.service.package import package_id
from domain.errors import Invalid, Unavailable
from tests.unit.chaincode.service.peer import PACKAGE_ID, RawPeer
from tests.unit.chaincode.service.test_process import free_port, wait_until_serving
from yilian.contract_commands import register
from yilian.language import text

APP = typer.Typer()
register(APP, text("en"))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(APP, ["contract", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout.strip()


def connection(package: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(package)) as outer:
        code = outer.extractfile("code.tar.gz")
        assert code is not None
        with tarfile.open(fileobj=io.BytesIO(code.read())) as inner:
            found = inner.extractfile("connection.json")
            assert found is not None
            read: dict[str, Any] = json.loads(found.read())
            return read


def test_a_package_carries_address_and_certificates_and_is_secret(tmp_path: Path) -> None:
    for name in ("root", "cert", "key"):
        (tmp_path / name).write_text(name.upper())
    out = tmp_path / "yilian.tar.gz"
    told = run(
        "package", str(out), "--label", "yilian_1", "--address", "contract:7052", "--root", str(tmp_path / "root"),
        "--client-certificate", str(tmp_path / "cert"), "--client-key", str(tmp_path / "key"),
    )  # fmt: skip
    assert told == package_id("yilian_1", out.read_bytes())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert connection(out.read_bytes()) == {
        "address": "contract:7052", "dial_timeout": "10s", "tls_required": True, "client_auth_required": True,
        "root_cert": "ROOT", "client_cert": "CERT", "client_key": "KEY",
    }  # fmt: skip


def test_without_certificates_a_package_is_for_plain_connections(tmp_path: Path) -> None:
    run("package", str(tmp_path / "p"), "--label", "yilian_1", "--address", "127.0.0.1:7052")
    told = connection((tmp_path / "p").read_bytes())
    assert told == {"address": "127.0.0.1:7052", "dial_timeout": "10s", "tls_required": False}


@pytest.mark.parametrize(
    "more", [("--client-certificate", "x"), ("--client-key", "x"), ("--root", "x", "--client-key", "x")]
)
def test_half_of_mutual_tls_is_refused(tmp_path: Path, more: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        run("package", str(tmp_path / "p"), "--label", "yilian_1", "--address", "127.0.0.1:7052", *more)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refusal:
        run("package", str(tmp_path / "p"), "--label", "a", "--address", "a:1", "--root", str(tmp_path / "no.pem"))
    assert refusal.value.place == "no.pem"


def test_the_contract_is_served_until_stopped() -> None:
    port = free_port()
    command = [sys.executable, "-m", "yilian", "contract", "serve", "--package-id", PACKAGE_ID]
    with subprocess.Popen([*command, "--address", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True) as running:
        try:
            wait_until_serving(running)
            with RawPeer(f"127.0.0.1:{port}") as peer:
                peer.register()
            running.send_signal(signal.SIGTERM)
            assert running.wait(15) == 0
        finally:
            running.kill()
