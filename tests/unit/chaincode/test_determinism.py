"""Endorsers must agree byte for byte: same writes under any hash seed and Python version; nothing else is reachable."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chaincode
from domain import queries, transactions
from tests.unit.chaincode import scenario
from tests.unit.chaincode.trace import replay
from tests.unit.chaincode.world import Wallet, an_id

ROOT = Path(chaincode.__file__).resolve().parents[1]
OTHER_PYTHON = os.environ.get("TESTS_OTHER_PYTHON", "")
"""An interpreter of another version with cryptography, pynacl and rfc8785 (``make test`` names it)."""

ALLOWED = {
    "__future__", "ast", "collections", "dataclasses", "datetime", "functools", "hashlib", "itertools", "json", "math",
    "re", "types", "typing", "unicodedata", "base64", "binascii", "hmac", "chaincode", "domain", "cryptography", "nacl",
    "rfc8785", "_typeshed",
}  # fmt: skip
FORBIDDEN_CALLS = {"now", "utcnow", "today", "time", "time_ns", "random", "urandom", "token_bytes", "getenv", "open"}


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    path.write_text(json.dumps(scenario.trace()))
    return path


def replayed(python: str, seed: str, trace_file: Path) -> bytes:
    command = [python, "-m", "tests.unit.chaincode.trace", str(trace_file)]
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True).stdout


def test_the_trace_uses_every_transaction_with_success_and_every_query() -> None:
    trace = scenario.trace()
    outcome = replay(trace)
    changed = {step["name"] for step, result in zip(trace, outcome, strict=True) if result["writes"] or result["event"]}
    answered = {step["name"] for step, result in zip(trace, outcome, strict=True) if result["response"][0] == 200}
    assert changed == set(transactions.NAMES)
    assert answered == set(transactions.NAMES) | set(queries.NAMES)
    assert {result["response"][0] for result in outcome} == {200, 400, 403, 404, 409}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_endorsements_are_equal_under_every_hash_seed(trace_file: Path, seed: str) -> None:
    expected = json.dumps(replay(scenario.trace()), ensure_ascii=True).encode()
    assert replayed(sys.executable, seed, trace_file) == expected


@pytest.fixture
def other_python() -> str:
    """An interpreter of another version; without it the test is skipped with the reason, in CI it fails."""
    reason = "TESTS_OTHER_PYTHON names no Python of another version; make test gets one (scripts/other-python.sh)"
    if OTHER_PYTHON and version_of(OTHER_PYTHON) != version_of(sys.executable):
        return OTHER_PYTHON
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def version_of(python: str) -> str:
    """Major and minor version."""
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_endorsements_are_equal_under_another_python(trace_file: Path, other_python: str) -> None:
    expected = json.dumps(replay(scenario.trace()), ensure_ascii=True).encode()
    assert replayed(other_python, "3", trace_file) == expected


def reachable() -> list[Path]:
    """The contract, the stub and every domain module that they reach by import."""
    pending = [ROOT / "chaincode" / "stub.py", *sorted((ROOT / "chaincode" / "contract").rglob("*.py"))]
    seen: list[Path] = []
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.append(path)
        for module in imported(path):
            candidate = ROOT / (module.replace(".", "/") + ".py")
            if module.startswith(("domain.", "chaincode.")) and candidate.is_file():
                pending.append(candidate)
    return sorted(seen)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_contract_imports_no_clock_randomness_socket_database_or_framework() -> None:
    found = {path: {name.partition(".")[0] for name in imported(path)} - ALLOWED for path in reachable()}
    assert {path: names for path, names in found.items() if names} == {}
    assert ROOT / "domain" / "jcs.py" in found


def test_the_contract_imports_only_domain_and_its_stub() -> None:
    for path in sorted((ROOT / "chaincode" / "contract").rglob("*.py")):
        own = {name for name in imported(path) if name.startswith(("chaincode.", "domain."))}
        outside = {name for name in own if not name.startswith(("chaincode.contract.v1", "chaincode.stub", "domain."))}
        assert outside == set(), path


def test_the_contract_calls_no_clock_no_randomness_and_opens_nothing() -> None:
    for path in reachable():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert name not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"


def test_transactions_that_write_read_no_history_and_no_range() -> None:
    trace = scenario.trace()
    for step, result in zip(trace, replay(trace), strict=True):
        if result["writes"]:
            assert result["ranges"] == [], step["name"]


def test_no_write_holds_a_patient_id_and_a_record_id() -> None:
    patient, record = Wallet("li").patient, an_id("record")
    trace = scenario.trace()
    for step, result in zip(trace, replay(trace), strict=True):
        text = json.dumps([result["writes"], result["event"]])
        assert not (patient in text and record in text), step["name"]
