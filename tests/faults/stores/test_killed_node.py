"""The process that stores and erases is killed anywhere: nothing acknowledged is lost, nothing erased comes back."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import NotFound
from offchain.envelope.sealed import SealedBytes
from offchain.stores.ipfs.segment import MAX_TABLE_BYTES, parse_table
from scripts.kubo import Daemon
from tests.faults.counts import repetitions
from tests.faults.stores.repository import block_files
from tests.faults.stores.test_blocks import call, pins
from tests.faults.stores.worker import open_stores


@pytest.mark.parametrize("turn", range(repetitions(3, 40)))
def test_a_process_killed_at_any_moment_loses_nothing_and_brings_nothing_back(
    own: Daemon, tmp_path: Path, turn: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.stores.worker", str(tmp_path), own.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(random.Random(turn).uniform(0, 1.5))  # noqa: S311 - the moment of a kill, repeatable
    process.send_signal(signal.SIGKILL)
    lines = [line.split() for line in [first, *process.communicate()[0].splitlines()]]
    told = {kind: {line[1] for line in lines if line[0] == kind and len(line) == 2 and len(line[1]) == 43}
            for kind in ("stored", "erasing", "erased")}  # fmt: skip
    assert told["stored"]

    store, halves = open_stores(tmp_path, own.url)
    for digest in told["stored"] - told["erasing"]:
        for half in halves.values():
            half.verify(digest)
    assert not store.settle()
    for digest in told["erased"]:
        with pytest.raises(NotFound):
            store.verify(digest)
    kept = told["stored"] - told["erased"]
    held = set(store.digests())
    store.collect(lambda digest: digest in kept, datetime.now(UTC) + timedelta(days=2))
    assert set(halves["ipfs"].digests()) == set(halves["local"].digests()) == held & kept
    assert in_files(own) == held & kept, "Kubo holds these and nothing else"
    assert len(block_files(own)) <= 3 * len(kept) + 5


def in_files(kubo: Daemon) -> set[str]:
    """The digests of all that is pinned, computed from the bytes."""
    found = set[str]()
    for cid in pins(kubo):
        data = call(kubo, "cat", arg=cid).content
        spans = parse_table(data[:MAX_TABLE_BYTES], len(data)) if data.startswith(b"YLNS") else None
        parts = [data] if spans is None else [data[one.offset : one.offset + one.length] for one in spans]
        found.update(SealedBytes.of(part).digest for part in parts)
    return found
