"""ipfshttpclient 0.8.0a2, an IPFS client by others, reads what the IPFS store wrote: the very sealed bytes."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from offchain.envelope.sealed import SealedBytes
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.segment import MAX_TABLE_BYTES, parse_table
from scripts.kubo import Daemon
from tests.faults.stores.repository import LARGE
from tests.kubo import ipfs_store, kubo
from tests.unit.offchain.sealing import sealed_of

__all__ = ["kubo"]
ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".tools/ipfshttpclient/bin/python"
PROGRAM = Path(__file__).with_name("ipfshttpclient") / "read.py"


@pytest.fixture
def python() -> Path:
    """Python with ipfshttpclient; a skip that says how to get it, but never in CI."""
    if not PYTHON.exists():
        reason = "ipfshttpclient is not there: make .tools/ipfshttpclient/.installed"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return PYTHON


def test_ipfshttpclient_reads_the_sealed_bytes_of_every_object(kubo: Daemon, tmp_path: Path, python: Path) -> None:
    alone, packed = [sealed_of(), sealed_of(LARGE)], [sealed_of() for _ in range(12)]
    with closing(ipfs_store(kubo.url, tmp_path / "store")) as store, closing(KuboRpc(kubo.url)) as rpc:
        for one in alone:
            store.put(one)
        store.put_many(packed)
        cids = list(rpc.pins(f"yilian/{str(tmp_path / 'store')[-100:]}"))
    assert len(cids) == 3
    answer = subprocess.run(
        [python, PROGRAM, f"/ip4/127.0.0.1/tcp/{kubo.port}/http", tmp_path, *cids],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    told = json.loads(answer.stdout)
    read = [(tmp_path / cid).read_bytes() for cid in cids]
    for cid, data in zip(cids, read, strict=True):
        assert told["files"][cid] == {"range": data[100:150].hex(), "pin": "recursive", "size": len(data)}
    assert {one.data for one in alone} < set(read)
    (segment,) = (data for data in read if data.startswith(b"YLNS"))
    spans = parse_table(segment[:MAX_TABLE_BYTES], len(segment))
    found = [SealedBytes.of(segment[span.offset : span.offset + span.length]) for span in spans]
    assert {one.digest for one in found} == {one.digest for one in packed}
    assert "VersionMismatch" in told["warnings"], "it says that it does not know this daemon"
