"""A large upload whose node loses its processes on the way: another one goes on where it broke off."""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from node_service.client import resumable_client
from node_service.client.resumable_client import LargeUpload
from tests.fabric.faults.consortium import HOME
from tests.faults.workers.conftest import Shared
from tests.unit.node_service.records.test_series import instance

pytestmark = pytest.mark.slow
MIB = 1 << 20
_SERIES = "1.2.3.4711"


def test_an_upload_goes_on_in_another_process_where_the_one_that_took_it_was_killed(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable_client, "PART_BYTES", 2 * MIB)
    home = shared.people.actors.home
    client = home.employ("archive-of-uploads", "Archive", "medical-records").client
    path = tmp_path / "large.dcm"
    path.write_bytes(instance(1, pixels=os.urandom(12 * MIB), series=_SERIES))
    struck = set[int]()

    def strike(sent: int, length: int) -> None:
        if 0 < sent < length and len(struck) < 3:
            serving = {shared.leader(HOME), *shared.others(HOME)} - {None}
            struck.add(sent)
            for process in serving:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)  # type: ignore[arg-type]

    patient = shared.people.wallet.registration(HOME).patient
    series = LargeUpload(client, "pacs", "uploads", patient).send(path, strike)
    assert len(struck) == 3
    client.close_dicom(upload="uploads")
    doctor = home.employ("doctor-of-uploads", "Doctor", "clinician").client
    (member,) = doctor.record_members(series)
    read = hashlib.sha256(b"".join(doctor.record_member(series, member.object_id)))
    assert read.digest() == hashlib.sha256(path.read_bytes()).digest()
    left = home.folder / "uploads"
    assert not left.exists() or list(left.iterdir()) == []
