"""The service as a process: its command line, its health and metrics, and how it stops."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from chaincode.contract.v1 import invoke
from chaincode.service.__main__ import settings
from chaincode.service.metrics import Metrics
from chaincode.service.operations import Operations
from chaincode.service.serving import load_contract, split_address
from chaincode.service.tls import TlsFiles
from domain.errors import Invalid, Unavailable
from tests.unit.chaincode.service.peer import PACKAGE_ID, RawPeer

ROOT = Path(__file__).resolve().parents[4]
NEEDED = ("--package-id", PACKAGE_ID, "--address", "127.0.0.1:7070")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def process(*more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    command = [sys.executable, "-m", "chaincode.service", "--package-id", PACKAGE_ID, "--address", f"127.0.0.1:{port}"]
    with subprocess.Popen([*command, *more], cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running, port
        finally:
            running.kill()


def wait_until_serving(running: subprocess.Popen[str]) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if "is served on" in line:
            return
    raise AssertionError("it ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    operations = free_port()
    with process("--operations", f"127.0.0.1:{operations}") as (running, port):
        wait_until_serving(running)
        with RawPeer(f"127.0.0.1:{port}") as peer:
            peer.register()
            assert httpx.get(f"http://127.0.0.1:{operations}/health").json() == {"status": "serving"}
            assert "yilian_contract_streams 1.0" in httpx.get(f"http://127.0.0.1:{operations}/metrics").text
            running.send_signal(number)
            assert running.wait(10) == 0


def test_a_port_is_not_shared_with_another_service() -> None:
    with process() as (first, port):
        wait_until_serving(first)
        told = subprocess.run(
            [sys.executable, "-m", "chaincode.service", "--package-id", "x", "--address", f"127.0.0.1:{port}"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        assert told.returncode == 2
        assert "cannot be listened on" in told.stderr


def test_the_command_line_becomes_settings() -> None:
    found = settings([*NEEDED, "--tls-certificate", "c", "--tls-key", "k", "--tls-client-root", "r", "--threads", "3"])
    assert (found.package_id, found.address, found.name) == (PACKAGE_ID, "127.0.0.1:7070", "yilian")
    assert found.tls == TlsFiles(Path("c"), Path("k"), Path("r"))
    assert (found.limits.threads, found.operations) == (3, "")


@pytest.mark.parametrize(
    "more",
    [
        ("--address", "7070"), ("--address", "a:b"), ("--address", "a:70000"), ("--address", ":1"),
        ("--tls-certificate", "c"), ("--tls-key", "k"), ("--tls-client-root", "r"),
        ("--threads", "0"), ("--max-waiting", "-1"), ("--stop-s", "-1"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(more: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        settings([*NEEDED, *more])


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "[::]:7070", "10.0.0.1:7070", "contract.example:7070"])
def test_without_tls_the_contract_is_served_on_loopback_only(address: str) -> None:
    with pytest.raises(Invalid):
        settings([*NEEDED, "--address", address])
    assert settings([*NEEDED, "--address", address, "--tls-certificate", "c", "--tls-key", "k"]).address == address


@pytest.mark.parametrize("address", ["127.0.0.2:7070", "[::1]:7070", "localhost:7070"])
def test_loopback_needs_no_tls(address: str) -> None:
    assert settings([*NEEDED, "--address", address]).tls is None


def test_the_contract_is_found_by_name() -> None:
    assert load_contract("chaincode.contract.v1:invoke") is invoke


@pytest.mark.parametrize(
    "named", ["", "nothing", "no.such:thing", "chaincode.stub:nothing", "chaincode.stub:MAX_KEY_BYTES"]
)
def test_what_is_no_contract_is_refused(named: str) -> None:
    with pytest.raises(Invalid):
        load_contract(named)


def test_health_and_metrics_are_all_that_is_answered() -> None:
    metrics, serving = Metrics(), [True]
    operations = Operations(metrics.registry, lambda: serving[0])
    url = f"http://127.0.0.1:{operations.start('127.0.0.1', 0)}"
    metrics.answered(200, 0.1)
    metrics.answered(12345, 0.1)
    text = httpx.get(f"{url}/metrics").text
    assert set(re.findall(r'yilian_contract_transactions_total\{status="(\w+)"\}', text)) == {"200", "other"}
    assert httpx.get(f"{url}/health").status_code == 200
    serving[0] = False
    assert httpx.get(f"{url}/health").status_code == 503
    assert httpx.get(f"{url}/other").status_code == 404
    with pytest.raises(Unavailable):
        Operations(metrics.registry, lambda: True).start(*split_address(url.removeprefix("http://")))
    operations.stop()
