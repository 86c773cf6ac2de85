"""A Kubo daemon (IPFS) of its own, for tests and measurements: on loopback, offline, with a repository in a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

BUILT: Final = Path(__file__).resolve().parents[1] / ".tools" / "kubo" / "bin" / "ipfs"
HOW_TO_GET: Final = "Kubo is missing: run make kubo-tools (needs Go), or name the program in KUBO"
READY_TIMEOUT_S: Final = 60.0
OFFLINE: Final[Mapping[str, Any]] = {
    "Addresses.API": "/ip4/127.0.0.1/tcp/0",
    "Addresses.Gateway": [],
    "Addresses.Swarm": [],
    "Bootstrap": [],
    "Routing.Type": "none",
    "AutoConf.Enabled": False,
    "Discovery.MDNS.Enabled": False,
    "Provide.Enabled": False,
}

PRIVATE_SWARM: Final[Mapping[str, Any]] = {
    "Addresses.Swarm": ["/ip4/127.0.0.1/tcp/0"],
    "Addresses.NoAnnounce": [],
    "Swarm.AddrFilters": [],
    "Swarm.Transports.Network": {"QUIC": False, "Websocket": False, "WebTransport": False, "WebRTCDirect": False},
    "Swarm.RelayClient.Enabled": False,
    "Swarm.RelayService.Enabled": False,
    "AutoNAT.ServiceMode": "disabled",
    "AutoTLS.Enabled": False,
    "HTTPRetrieval.Enabled": False,
}
"""Beside a ``swarm.key``: TCP alone, which a private swarm speaks, and nothing that asks others for addresses."""


class KuboMissing(Exception):
    """There is no program; the text says how to get one."""


def kubo_program() -> str:
    """The program that ``KUBO`` names, else what was built in ``.tools``, else ``ipfs`` on PATH.

    Raises:
        KuboMissing: there is none.
    """
    found = os.environ.get("KUBO") or (str(BUILT) if BUILT.exists() else shutil.which("ipfs"))
    if not found:
        raise KuboMissing(HOW_TO_GET)
    return found


@dataclass(slots=True)
class Daemon:
    """One Kubo with its repository; it may be started, struck and started again."""

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    is_offline: bool = True
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the RPC; the same after a second start."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def blocks(self) -> Path:
        """Folder of the block files."""
        return self.folder / "blocks"

    def initialise(self) -> None:
        """Make the repository.

        Raises:
            KuboMissing: there is no program.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("init", "--profile=server,test")
        for name, value in {**OFFLINE, **self.config}.items():
            self.run("config", "--json", name, json.dumps(value))

    def run(self, *arguments: str, wait_s: float = READY_TIMEOUT_S) -> str:
        """Run the program on this repository and return what it prints."""
        return subprocess.run(  # noqa: S603 - our own program
            [kubo_program(), *arguments],
            env=self._environment, check=True, capture_output=True, text=True, timeout=wait_s,
        ).stdout  # fmt: skip

    def start(self, *, token: str = "") -> None:
        """Start the daemon and wait until it answers.

        Raises:
            TimeoutError: it does not.
        """
        (self.folder / "api").unlink(missing_ok=True)
        (self.folder / "repo.lock").unlink(missing_ok=True)
        arguments = ["daemon", *(["--offline"] if self.is_offline else [])]
        with (self.folder / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [kubo_program(), *arguments], env=self._environment, stdout=log, stderr=log
            )
        self._wait(token)
        if "/tcp/0" in str({**OFFLINE, **self.config}["Addresses.API"]):
            self.config = {**self.config, "Addresses.API": f"/ip4/127.0.0.1/tcp/{self.port}"}
            self._configure_port()

    def addresses(self) -> list[str]:
        """Where other nodes reach this one."""
        answer = httpx.post(f"{self.url}/api/v0/id", trust_env=False)
        return [str(address) for address in answer.raise_for_status().json()["Addresses"]]

    def strike(self, number: signal.Signals) -> None:
        """Send the daemon a signal; after SIGKILL it is gone on return."""
        assert self._process is not None  # noqa: S101 - only a started daemon is struck
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait(READY_TIMEOUT_S)

    def stop(self) -> None:
        """End the daemon, also one that is suspended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(READY_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(READY_TIMEOUT_S)

    @property
    def _environment(self) -> dict[str, str]:
        private = {"LIBP2P_FORCE_PNET": "1"} if (self.folder / "swarm.key").exists() else {}
        return {**os.environ, "IPFS_PATH": str(self.folder), "IPFS_TELEMETRY": "off", **private}

    def _configure_port(self) -> None:
        """The port that the system chose stays for the next start, as a hospital's own would."""
        path = self.folder / "config"
        fields = json.loads(path.read_text())
        fields["Addresses"]["API"] = self.config["Addresses.API"]
        path.write_text(json.dumps(fields))

    def _wait(self, token: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                self.port = int((self.folder / "api").read_text().rpartition("/")[2])
                httpx.post(f"{self.url}/api/v0/id", headers=headers, trust_env=False).raise_for_status()
            except (FileNotFoundError, ValueError, httpx.HTTPError):
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise TimeoutError(f"Kubo does not start; see {self.folder / 'daemon.log'}")


@contextmanager
def kubo(folder: Path, config: Mapping[str, Any] | None = None) -> Iterator[Daemon]:
    """A running daemon with a new repository.

    Raises:
        KuboMissing: there is no program.
    """
    daemon = Daemon(folder, config or {})
    daemon.initialise()
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()
