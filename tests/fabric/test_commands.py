"""``yilian network`` as an operator gives it: a network grows, is renewed and upgraded, shrinks, and stops."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from network.topology.description import SERVICES
from network.topology.engine import Binaries
from network.topology.ports import free_ports
from tests.fabric.contracts import FIRST, SECOND

TIMEOUT_S = 240
ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., str]


@pytest.fixture
def network(binaries: Binaries, tmp_path: Path) -> Iterator[Command]:
    """Gives a command to a network in a folder of its own, which is stopped in the end."""
    folder = tmp_path / "network"
    environment = os.environ | {"FABRIC_BIN": str(binaries.folder), "YILIAN_LANG": "en"}

    def command(name: str, *arguments: str, fails: bool = False, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "yilian", "network", name, str(folder), *arguments], cwd=ROOT,
            env=environment | more, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    yield command
    if folder.exists():
        command("down")


def test_a_network_lives_by_its_commands(network: Command) -> None:
    port = free_ports(3)
    told = network("up", "-o", "RenheMSP", "-o", "MingdeMSP", "--first-port", str(port), "--contract", FIRST)
    assert [line.split()[0] for line in told.splitlines()] == ["Fabric", "RenheMSP", "MingdeMSP"]
    assert Path(network("connection", "RenheMSP").strip()).is_file()
    assert Path(network("connection", "RenheMSP", "--witness").strip()).is_file()

    joined = network("add-organization", "AnkangMSP", "--first-port", str(port + 2 * len(SERVICES)))
    assert joined.startswith("AnkangMSP ")
    assert "joined on other ports" in network("add-organization", "AnkangMSP", "--first-port", str(port), fails=True)
    before = network("status")
    assert all(f"{role}-ankang" in before for role in ("peer", "orderer", "contract"))
    assert (before.count(" up "), before.count("leads"), "contract 1 (1)" in before) == (9, 1, True)

    network("renew-certificates", "MingdeMSP")
    assert network("upgrade-contract", "--contract", SECOND, "--version", "two") == "contract two (2) is in force\n"
    assert network("upgrade-contract", "--contract", SECOND, "--version", "two") == "contract two (2) is in force\n"
    network("remove-organization", "AnkangMSP")
    after = network("status")
    assert ("ankang" in after, after.count(" up "), "contract two (2)" in after) == (False, 6, True)

    network("down")
    assert network("status", YILIAN_LANG="zh").count("停止") == 6
    assert "RenheMSP" in network("up")
    assert "no organisation" in network("remove-organization", "NobodyMSP", fails=True).lower()
