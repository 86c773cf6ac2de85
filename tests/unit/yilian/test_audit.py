"""Auditing on the command line: export, verify, query, on the embedded ledger and on blocks of real Fabric."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from domain.identifiers import encode_bytes
from domain.transactions import OrganizationKey, RegisterOrganization, encode
from network.embedded.founding import Founding, init
from network.embedded.ledger import EmbeddedLedger
from yilian.language import text
from yilian.ledger_commands import SystemClock
from yilian.main import build

APP = build(text("en"))
RUNNER = CliRunner()


def signing_key() -> OrganizationKey:
    public = encode_bytes(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    return OrganizationKey("signing", "Ed25519", "k1", public, "2026-01-01T00:00:00Z", None)


@pytest.fixture(scope="module")
def founding(tmp_path_factory: pytest.TempPathFactory) -> Founding:
    folder = tmp_path_factory.mktemp("ledger") / "ledger"
    founding = init(folder, "yilian", ["AMSP", "BMSP"], clock=SystemClock(), random=os.urandom)
    for msp_id in ("AMSP", "BMSP"):
        with EmbeddedLedger(folder, msp_id, SystemClock(), os.urandom) as ledger:
            ledger.submit(*encode(RegisterOrganization("http://127.0.0.1:1", (signing_key(),))))
    return founding


@pytest.fixture(scope="module")
def exported(founding: Founding) -> Path:
    folder = founding.directory.parent / "export"
    shown = RUNNER.invoke(APP, ["audit", "export", str(founding.directory), str(folder)])
    assert shown.exit_code == 0, shown.output
    return folder


def test_an_export_verifies_and_the_contract_is_executed_again(founding: Founding, exported: Path) -> None:
    shown = RUNNER.invoke(APP, ["audit", "verify", str(exported), "--genesis", founding.genesis, "--json"])
    report = json.loads(shown.stdout)
    assert (report["channel"], report["height"], report["replayed"]) == ("yilian", 4, 2)
    assert report["genesis_hash"] == founding.genesis


def test_another_genesis_is_tampering(exported: Path) -> None:
    shown = RUNNER.invoke(APP, ["audit", "verify", str(exported), "--genesis", "0" * 64])
    assert shown.exit_code != 0
    assert type(shown.exception).__name__ == "Tampered"


def test_an_altered_block_is_named(exported: Path, tmp_path: Path) -> None:
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    block = tmp_path / "0002.block"
    altered = bytearray(block.read_bytes())
    altered[len(altered) // 2] ^= 1
    block.write_bytes(altered)
    shown = RUNNER.invoke(APP, ["audit", "verify", str(tmp_path)])
    assert "block 2" in str(shown.exception)


@pytest.mark.parametrize(
    ("options", "organisations"),
    [
        ([], ["AMSP", "BMSP"]),
        (["--organisation", "BMSP"], ["BMSP"]),
        (["--name", "OpenAccess"], []),
        (["--mentions", "AMSP"], ["AMSP"]),
        (["--code", "MVCC_READ_CONFLICT"], []),
        (["--since", "2100-01-01T00:00:00Z"], []),
        (["--until", datetime.now(UTC).strftime("%Y-01-01T00:00:00Z")], []),
    ],
)
def test_queries_filter_what_was_verified(exported: Path, options: list[str], organisations: list[str]) -> None:
    shown = RUNNER.invoke(APP, ["audit", "query", str(exported), "--json", *options])
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [row["organisation"] for row in rows] == organisations
    assert all(row["name"] == "RegisterOrganization" and row["code"] == "VALID" for row in rows)


def test_a_printed_query_holds_every_key_whole(exported: Path) -> None:
    shown = RUNNER.invoke(APP, ["audit", "query", str(exported), "--json"])
    keys = [key for line in shown.stdout.splitlines() for key in json.loads(line)["keys"]]
    printed = RUNNER.invoke(APP, ["audit", "query", str(exported)]).stdout
    assert keys
    assert not [key for key in keys if key not in printed]
    assert "RegisterOrganization" in printed


def test_a_wrong_time_is_refused_with_its_option(exported: Path) -> None:
    shown = RUNNER.invoke(APP, ["audit", "query", str(exported), "--since", "yesterday"])
    assert "--since" in str(shown.exception)


@pytest.mark.parametrize("network", ["raft-2.5", "raft-3.1.5", "bft-3.1.5"])
def test_blocks_of_real_fabric_networks_verify(shared_data: Path, network: str) -> None:
    folder = shared_data / "fabric" / network
    expected = json.loads((folder / "expected.json").read_text())
    shown = RUNNER.invoke(APP, ["audit", "verify", str(folder), "--json"])
    report = json.loads(shown.stdout)
    assert report["height"] == expected["height"]
    assert report["head_hash"] == expected["blocks"][-1]["header_hash"]
