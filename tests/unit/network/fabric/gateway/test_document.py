"""docs/gateway-client.md names everything that the client offers, its errors and its deadlines as they are."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from network.fabric import gateway
from network.fabric.gateway import Deadlines, GatewayError
from network.fabric.gateway.channel import FIRST_BACKOFF_MS, KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, LAST_BACKOFF_MS

TEXT = (Path(__file__).resolve().parents[5] / "docs" / "gateway-client.md").read_text()
RETURNED = {
    "Block", "BlockAndPrivateData", "BlockEventsRequest", "ChaincodeEvent", "ChaincodeEventsRequest", "Checkpoint",
    "Contract", "ErrorDetail", "FilteredBlock", "FilteredTransaction", "Network", "Signer", "Sources", "Status",
}  # fmt: skip
"""Types of what is returned or taken, which a reader meets in the signatures."""


def test_every_public_name_is_documented() -> None:
    assert [name for name in gateway.__all__ if name not in RETURNED and not re.search(rf"\b{name}\b", TEXT)] == []


def test_the_table_of_errors_has_every_error_and_no_other() -> None:
    offered = {
        name
        for name in gateway.__all__
        if isinstance(getattr(gateway, name), type) and issubclass(getattr(gateway, name), GatewayError)
    }
    section = TEXT[TEXT.index("## Errors") : TEXT.index("## What is left out")]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == offered


def test_the_table_of_deadlines_has_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `(\w+_s)` \| ([0-9.]+) \|", TEXT, re.MULTILINE))
    assert {name: float(seconds) for name, seconds in rows.items()} == asdict(Deadlines())


def test_the_connection_is_probed_and_tried_again_as_written() -> None:
    words = " ".join(TEXT.split())
    assert f"probed every {KEEPALIVE_MS // 1000} s" in words
    assert f"given up {KEEPALIVE_TIMEOUT_MS // 1000} s later" in words
    assert f"after {FIRST_BACKOFF_MS / 1000:.1f} to {LAST_BACKOFF_MS // 1000} s" in words
