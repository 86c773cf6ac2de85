"""tuspy, the tus client by others, sends to a node, stops, goes on in another process, and cancels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.scenario.network import Hospital, consortium
from tests.unit.node_service.records.test_series import instance

PYTHON = Path(__file__).resolve().parents[2] / ".tools/tuspy/bin/python"
PROGRAM = Path(__file__).with_name("tuspy") / "send.py"


@pytest.fixture
def python() -> Path:
    """Python with tuspy; a skip that says how to get it, but never in CI."""
    if not PYTHON.exists():
        reason = "tuspy is not there: make .tools/tuspy/.installed"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return PYTHON


@pytest.fixture
def renhe(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital of a consortium."""
    with consortium(tmp_path / "consortium") as hospitals:
        yield hospitals["RenheMSP"]


def test_tuspy_sends_a_file_in_parts_and_goes_on_where_it_stopped(
    renhe: Hospital, tmp_path: Path, python: Path
) -> None:
    path = tmp_path / "large.dcm"
    path.write_bytes(instance(1, pixels=os.urandom(1_000_000)))
    archive = renhe.staff("archive")
    headers = dict(archive.authorise("", ""))
    token = headers["Authorization"].removeprefix("Bearer ")

    def send(*command: str) -> str:
        given = [str(python), str(PROGRAM), f"{renhe.url}/api/ingest/uploads", token, str(path), *command]
        return subprocess.run(given, check=True, capture_output=True, text=True, timeout=60).stdout

    address = send("part")
    assert address.startswith(f"{renhe.url}/api/ingest/uploads/")
    headers["Tus-Resumable"] = "1.0.0"
    assert httpx.head(address, headers=headers, trust_env=False).headers["Upload-Offset"] == "100000"
    assert send("rest", address) == str(path.stat().st_size)
    told = httpx.head(address, headers=headers, trust_env=False).headers
    assert told["Upload-Offset"] == told["Upload-Length"] == str(path.stat().st_size)
    (stored,) = archive.close_dicom(upload="tuspy").stored
    assert stored.record == told["Yilian-Record"]
    doctor = renhe.staff("dr")
    (member,) = doctor.record_members(stored.record)
    assert b"".join(doctor.record_member(stored.record, member.object_id)) == path.read_bytes()

    left = send("part")
    assert send("cancel", left) == "204"
    assert list((renhe.settings.data_dir / "uploads").iterdir()) == []
