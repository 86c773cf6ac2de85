"""hfc as a process of its own: a connection profile of it, made from a network's files, and its calls."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from network.topology.native import NativeNetwork

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".tools/hfc/bin/python"
PROGRAM = Path(__file__).with_name("hfc") / "call.py"
TIMEOUT_S = 120
USER = "node"


def need_hfc() -> None:
    """Skips, saying how to get it, where hfc's environment is not there."""
    if not PYTHON.exists():
        reason = "hfc is not there: make .tools/hfc/.installed, which needs Python 3.10 or 3.11"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What hfc says of a call.

    Attributes:
        returned: its result; None where it raised.
        raised: the exception's type; empty where it returned.
        text: of the exception.
        log: what the process logged.
    """

    returned: Any
    raised: str
    text: str
    log: str


@dataclass(frozen=True, slots=True)
class Hfc:
    """hfc as one hospital's node.

    Attributes:
        profile: its connection profile.
        store: where it keeps its users.
        peers: names of peers in the profile; all are asked to endorse what it invokes.
    """

    profile: Path
    store: Path
    channel: str
    contract: str
    organisation: str
    peers: tuple[str, ...]

    def call(self, name: str, /, **arguments: Any) -> Outcome:
        """One call on a client of its own."""
        (outcome,) = self.together(name, arguments)
        return outcome

    def together(
        self, name: str, *arguments: dict[str, Any], shared: bool = True, debug: bool = False
    ) -> list[Outcome]:
        """Calls at once in one process, on one shared client or one each."""
        asked = {
            "profile": str(self.profile), "channel": self.channel, "peers": self.peers,
            "organisation": self.organisation, "call": name, "arguments": arguments, "shared": shared, "debug": debug,
        }  # fmt: skip
        done = subprocess.run(
            [PYTHON, PROGRAM], input=json.dumps(asked), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
            umask=0o022,  # the usual one: what it leaves readable is its own choice
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [
            Outcome(answer.get("returned"), answer.get("raised", ""), answer.get("text", ""), done.stderr)
            for answer in json.loads(done.stdout)
        ]

    def invocation(self, name: str, arguments: bytes) -> dict[str, Any]:
        """Arguments of ``chaincode_query`` and ``chaincode_invoke``."""
        return {"contract": self.contract, "function": name, "args": [arguments.decode()]}


def hfc_of(network: NativeNetwork, msp: str, folder: Path, *, named_by_host: bool = False) -> Hfc:
    """hfc for a hospital of a network.

    Args:
        named_by_host: the profile has the own peer alone, by the name that hfc's discovery gives it: its host.
    """
    topology, layout, placement = network.topology, network.layout, network.placement
    own = topology.organization(msp)
    peers = {
        item.process("peer"): _node(placement.address(item, "peer"), layout.peer(item).tls_root)
        for item in topology.organizations
    }
    if named_by_host:
        peers = {placement.host(own, "peer"): peers[own.process("peer")]}
    user = {"private_key": str(layout.client(own).key), "cert": str(layout.client(own).certificate)}
    profile = {
        "client": {"credentialStore": {"path": str(folder / "store")}},
        "organizations": {msp: {"mspid": msp, "users": {USER: user}}},
        "certificateAuthorities": {},
        "orderers": {
            own.process("orderer"): _node(placement.address(own, "orderer"), layout.orderer(own).tls_root),
        },
        "peers": peers,
    }
    path = folder / "profile.json"
    path.write_text(json.dumps(profile))
    return Hfc(path, folder / "store", topology.channel, topology.contract, msp, tuple(peers))


def _node(address: str, tls_root: Path) -> dict[str, Any]:
    options = {"grpc.ssl_target_name_override": "localhost"}
    return {"url": address, "grpcOptions": options, "tlsCACerts": {"path": str(tls_root)}}
