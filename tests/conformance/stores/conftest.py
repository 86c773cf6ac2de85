"""The engines of the IPFS store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.kubo import Daemon
from tests.kubo import kubo, need_kubo, other_kubo

__all__ = ["kubo", "other_kubo"]

TOKEN: Final = "a-token-of-this-test-alone"
CALLS: Final = (
    "add", "cat", "refs", "block/get", "pin/ls", "pin/rm", "block/stat", "repo/gc", "repo/stat", "version"
)  # fmt: skip
"""All that the store asks of Kubo, as docs/operations.md lists it; the other calls are refused to its token."""


@pytest.fixture
def guarded_kubo(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that wants a token."""
    need_kubo()
    allowed = [f"/api/v0/{name}" for name in CALLS]
    others = {"owner": {"AuthSecret": "bearer:of-the-test", "AllowedPaths": ["/api/v0"]}}
    node = {"node": {"AuthSecret": f"bearer:{TOKEN}", "AllowedPaths": allowed}}
    daemon = Daemon(tmp_path / "kubo", {"API.Authorizations": {**others, **node}})
    daemon.initialise()
    daemon.start(token="of-the-test")
    yield daemon
    daemon.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path
