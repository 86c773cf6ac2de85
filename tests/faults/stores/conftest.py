"""Kubo daemons that tests strike, each with a repository of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from offchain.stores.ipfs.store import IpfsStore
from scripts.kubo import Daemon
from tests.kubo import IMPATIENT, daemon, ipfs_store, kubo

__all__ = ["kubo"]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon for one test."""
    with daemon(tmp_path / "kubo") as started:
        yield started


@pytest.fixture
def store(own: Daemon, tmp_path: Path) -> Iterator[IpfsStore]:
    """A store over that daemon, which waits three seconds at most."""
    with closing(ipfs_store(own.url, tmp_path / "ipfs", IMPATIENT)) as opened:
        yield opened
