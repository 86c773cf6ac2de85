"""A Kubo daemon (IPFS) of its own: offline, on loopback, with an empty repository in a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from scripts.bench.inputs import Skipped

BUILT: Final = Path(__file__).resolve().parents[2] / ".tools" / "kubo" / "bin" / "ipfs"
BUILD: Final = (
    "cd offchain/stores/kubo-tools && go build -trimpath -o ../../../.tools/kubo/bin/ipfs github.com/ipfs/kubo/cmd/ipfs"
)
_READY_TIMEOUT_S: Final = 30.0
_TIMEOUT_S: Final = 300.0
_BOUNDARY: Final = "yilian-bench-boundary"
_ADD: Final = {"cid-version": "1", "raw-leaves": "true", "pin": "true", "chunker": "size-1048576", "progress": "false"}
_OFFLINE: Final = {
    "Addresses.API": "/ip4/127.0.0.1/tcp/0",
    "Addresses.Gateway": [],
    "Addresses.Swarm": [],
    "Bootstrap": [],
    "Routing.Type": "none",
    "AutoConf.Enabled": False,
    "Discovery.MDNS.Enabled": False,
}


@dataclass(frozen=True, slots=True)
class Kubo:
    """The daemon's RPC (docs.ipfs.tech/reference/kubo/rpc)."""

    url: str
    http: httpx.Client

    def add(self, files: Iterable[Iterable[bytes]]) -> int:
        """Add and pin files in one request; durable when it returns. How many were added."""
        answer = self.http.post(
            f"{self.url}/api/v0/add",
            params=_ADD,
            content=_multipart(files),
            headers={"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
        ).raise_for_status()
        return sum(1 for line in answer.text.splitlines() if json.loads(line)["Hash"])


def kubo_program() -> str:
    """The program that ``KUBO`` names, else what was built in ``.tools``, else ``ipfs`` on PATH.

    Raises:
        Skipped: there is none.
    """
    found = os.environ.get("KUBO") or (str(BUILT) if BUILT.exists() else shutil.which("ipfs"))
    if not found:
        raise Skipped(f"Kubo is missing; build it with Go: {BUILD}")
    return found


@contextmanager
def kubo(folder: Path) -> Iterator[Kubo]:
    """Start a daemon; its repository lies in ``folder``.

    Raises:
        Skipped: Kubo is missing.
    """
    program, environment = kubo_program(), {**os.environ, "IPFS_PATH": str(folder), "IPFS_TELEMETRY": "off"}

    def run(*arguments: str) -> None:
        command: Sequence[str] = [program, *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_READY_TIMEOUT_S)  # noqa: S603

    run("init", "--profile=server,test")
    for name, value in _OFFLINE.items():
        run("config", "--json", name, json.dumps(value))
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen([program, "daemon", "--offline"], env=environment, stdout=log, stderr=log)  # noqa: S603
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as http:
            yield Kubo(_url(folder, daemon, http), http)
    finally:
        daemon.terminate()
        daemon.wait(_READY_TIMEOUT_S)


def _url(folder: Path, daemon: subprocess.Popen[bytes], http: httpx.Client) -> str:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline and daemon.poll() is None:
        try:
            port = int((folder / "api").read_text().rpartition("/")[2])
            http.post(f"http://127.0.0.1:{port}/api/v0/id").raise_for_status()
        except (FileNotFoundError, ValueError, httpx.HTTPError):
            time.sleep(0.05)
        else:
            return f"http://127.0.0.1:{port}"
    raise TimeoutError(f"Kubo does not start; see {folder / 'daemon.log'}")


def _multipart(files: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    for number, pieces in enumerate(files):
        yield (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        yield from pieces
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()
