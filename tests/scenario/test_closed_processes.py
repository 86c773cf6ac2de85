"""Processes that hold secrets, as they run: no core file, and their memory and environment are nobody else's to read.

The kernel gives the files of a process that is not dumpable to root's user and group (proc(5)). The processes run
in a group of their own, so that this tells the two apart for root as well.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.postgresql import running_server
from tests.postgresql import require
from tests.scenario.actors import eventually
from tests.unit.chaincode.service.peer import PACKAGE_ID
from tests.unit.chaincode.service.test_process import free_port, wait_until_serving
from yilian.demo.network import Network

HOSPITAL, GROUP, WORKERS = "RenheMSP", 65534, 2
SECRET = "an-environment-s-password"
SERVICE = ("--package-id", PACKAGE_ID, "--address")
COMMANDS = {"the service alone": ("chaincode.service",), "the command": ("yilian", "contract", "serve")}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux'"),
]


@contextmanager
def group_of_its_own() -> Iterator[None]:
    """What root starts within runs in another group than root's; anybody else is told apart from root already."""
    if os.geteuid() != 0:
        yield
        return
    former = os.getresgid()
    os.setresgid(GROUP, GROUP, former[2])
    try:
        yield
    finally:
        os.setresgid(*former)


def is_dumpable(pid: int) -> bool:
    """Whose a process's files are: its own user's and group's while it is dumpable, else root's."""
    found = Path(f"/proc/{pid}/environ").stat()
    assert (found.st_uid, found.st_gid) in {(0, 0), (os.geteuid(), GROUP if os.geteuid() == 0 else os.getegid())}
    return (found.st_uid, found.st_gid) != (0, 0)


def core_bytes(pid: int) -> list[str]:
    """The soft and the hard limit on core files."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = [line.removeprefix("Max core file size") for line in lines if line.startswith("Max core file size")]
    return line.split()[:2]


def check_closed(pid: int) -> None:
    assert core_bytes(pid) == ["0", "0"]
    assert not is_dumpable(pid)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(pid: int) -> list[int]:
    """The node's processes below the one that watches them, whose arguments say so."""
    return [
        child for child in children(pid) if b"--multiprocessing-fork" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    with group_of_its_own():
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_the_check_knows_a_process_that_is_open() -> None:
    with started("http.server", str(free_port()), "--bind", "127.0.0.1") as process:
        assert eventually(lambda: is_dumpable(process.pid), bool)
        if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
            assert core_bytes(process.pid) != ["0", "0"]


def test_a_node_of_one_process_and_its_witness(tmp_path: Path) -> None:
    network = Network(tmp_path, {HOSPITAL: "Renhe"}, witnesses=True)
    with group_of_its_own(), network:
        (hospital,) = network.hospitals
        assert hospital.process is not None
        assert hospital.witness is not None
        assert hospital.witness.process is not None
        assert hospital.witness.alarm() is None
        check_closed(hospital.process.pid)
        check_closed(hospital.witness.process.pid)


def test_all_processes_of_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that watches has read all secrets too; multiprocessing's helper cannot be closed, and knows none."""
    require()
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with running_server(durable=False) as server:
        settings = {HOSPITAL: {"DATABASE_URL": server.create("closed"), "WORKERS": str(WORKERS)}}
        network = Network(tmp_path, {HOSPITAL: "Renhe"}, settings=settings)
        with group_of_its_own(), network:
            process = network.hospitals[0].process
            assert process is not None
            check_closed(process.pid)
            serving = eventually(lambda: workers(process.pid), lambda found: len(found) == WORKERS)
            for pid in serving:
                eventually(lambda pid=pid: is_dumpable(pid), lambda dumpable: not dumpable)  # type: ignore[misc]
                check_closed(pid)
            for pid in set(children(process.pid)) - set(serving):
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                assert SECRET.encode() not in environment
                assert b"YILIAN_" not in environment


def test_a_replica_of_record_secrets(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "yilian", "custody", "channel", str(tmp_path / "keys")], check=True)
    channel = str(tmp_path / "keys" / "replica")
    with started("yilian", "custody", "replica", str(tmp_path / "second"), "--channel", channel, "--port", "0") as one:
        assert one.stdout is not None
        assert one.stdout.readline().startswith("127.0.0.1:")
        check_closed(one.pid)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_contract_service(command: str) -> None:
    with started(*COMMANDS[command], *SERVICE, f"127.0.0.1:{free_port()}") as process:
        wait_until_serving(process)
        check_closed(process.pid)
