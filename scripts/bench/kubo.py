"""Kubo as a peer of measurements: its own ``add``, over its RPC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from scripts.bench.inputs import Skipped
from scripts.kubo import KuboMissing
from scripts.kubo import kubo as running

_TIMEOUT_S: Final = 300.0
_BOUNDARY: Final = "yilian-bench-boundary"
_ADD: Final = {"cid-version": "1", "raw-leaves": "true", "pin": "true", "chunker": "size-1048576", "progress": "false"}


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


@contextmanager
def kubo(folder: Path) -> Iterator[Kubo]:
    """Start a daemon; its repository lies in ``folder``.

    Raises:
        Skipped: Kubo is missing.
    """
    try:
        with running(folder) as daemon, httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as http:
            yield Kubo(daemon.url, http)
    except KuboMissing as error:
        raise Skipped(str(error)) from error


def _multipart(files: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    for number, pieces in enumerate(files):
        yield (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        yield from pieces
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()
