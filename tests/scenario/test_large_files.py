"""A large instance over a line that breaks, by the command and by clients that are not ours."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from domain.errors import Invalid, Unavailable
from node_service.client import resumable_client
from node_service.client.node_client import StaffClient
from node_service.client.resumable_client import LargeUpload
from node_service.client.transport import Transport
from tests.line import line
from tests.scenario.network import PASSWORD, Hospital
from tests.scenario.test_story import emergency_patient
from tests.unit.node_service.records.test_series import instance
from yilian.ingestion import LARGE_BYTES, Feed
from yilian.main import build

MIB = 1 << 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A DICOM file that is sent in parts."""
    path = tmp_path / "series" / "large.dcm"
    path.parent.mkdir()
    path.write_bytes(
        instance(1, pixels=os.urandom(LARGE_BYTES), series=f"1.2.3.{int.from_bytes(os.urandom(4), 'big')}")
    )
    return path


def left_over(hospital: Hospital) -> list[str]:
    folder = hospital.settings.data_dir / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def through(hospital: Hospital, url: str) -> StaffClient:
    hospital.staff("archive")  # opens the account
    client = StaffClient(Transport(url))
    client.sign_in("archive", PASSWORD)
    return client


def test_a_large_file_arrives_whole_over_a_line_that_breaks_and_is_read_in_ranges(renhe: Hospital, large: Path) -> None:
    patient, _ = emergency_patient(renhe)
    seen: list[tuple[str, int, int]] = []
    with line(renhe.settings.port, 9 * MIB) as broken:
        feed = Feed(
            through(renhe, broken.url), os.urandom, "pacs-large", patient, lambda *told: seen.append(told)
        )  # fmt: skip
        summary = feed.files([large.parent], lambda _name: None)
        assert broken.breaks >= 3
    assert (summary.refused, summary.dicom_instances) == ([], 1)
    size = large.stat().st_size
    assert seen[-1] == ("large.dcm", size, size)
    assert [sent for _, sent, _ in seen] == sorted(sent for _, sent, _ in seen)
    assert left_over(renhe) == []
    record = summary.stored[0].record
    doctor = renhe.staff("dr")
    (member,) = doctor.record_members(record)
    assert b"".join(doctor.record_member(record, member.object_id)) == large.read_bytes()
    ranged = doctor.call(
        "GET", f"/api/records/{record}/members/{member.object_id}", headers={"Range": f"bytes={3 * MIB}-{5 * MIB}"}
    )
    assert (ranged.status, ranged.content) == (206, large.read_bytes()[3 * MIB : 5 * MIB + 1])
    again = Feed(renhe.staff("archive"), os.urandom, "pacs-large", patient).files([large.parent], lambda _name: None)
    assert (again.refused, again.dicom_instances) == ([], 0)


def test_what_is_refused_at_the_end_leaves_nothing(renhe: Hospital, tmp_path: Path) -> None:
    path = tmp_path / "no.dcm"
    path.write_bytes(b"no DICOM" * MIB)
    with pytest.raises(Invalid):
        LargeUpload(renhe.staff("archive"), "pacs", "refused").send(path, lambda _sent, _length: None)
    assert left_over(renhe) == []


def test_a_sender_that_gives_up_cancels(renhe: Hospital, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_client, "PATIENCE_S", 0.0)
    client = renhe.staff("archive")

    class Nothing(StaffClient):
        """Every part is lost; the rest of the protocol works."""

        def call(self, method: str, path: str, **given: object) -> object:  # type: ignore[override]
            if method == "PATCH":
                raise Unavailable("the line is down")
            return client.call(method, path, **given)  # type: ignore[arg-type]

    with pytest.raises(Unavailable, match=f"from 0 of {large.stat().st_size} bytes: the line is down"):
        LargeUpload(Nothing(client.transport), "pacs", "lost").send(large, lambda _sent, _length: None)
    assert left_over(renhe) == []


def test_the_command_tells_how_far_a_large_file_is(
    renhe: Hospital, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renhe.staff("archive")
    monkeypatch.setenv("YILIAN_STAFF_PASSWORD", PASSWORD)
    done = CliRunner().invoke(
        build(lambda en, _zh: en), ["ingest", str(large.parent), "--username", "archive", "--node", renhe.url, "--json"]
    )
    assert done.exit_code == 0, done.output
    assert '"dicom_instances": 1' in done.output


def test_the_protocol_is_that_of_tus(renhe: Hospital) -> None:
    headers = {**renhe.staff("archive").authorise("", ""), "Tus-Resumable": "1.0.0"}
    with httpx.Client(base_url=renhe.url, trust_env=False, timeout=30) as http:
        told = http.options("/api/ingest/uploads", headers=headers)
        assert (told.status_code, told.headers["Tus-Version"]) == (204, "1.0.0")
        assert set(told.headers["Tus-Extension"].split(",")) == {"creation", "termination", "expiration"}
        assert told.headers["Tus-Max-Size"] == str(renhe.settings.max_upload_bytes)
        said = {"Upload-Length": "10", "Upload-Metadata": "upload dQ==,source cw=="}
        other = http.post("/api/ingest/uploads", headers={**headers, **said, "Tus-Resumable": "0.2.2"})
        assert (other.status_code, other.headers["Tus-Version"]) == (412, "1.0.0")
        begun = http.post("/api/ingest/uploads", headers={**headers, **said})
        assert (begun.status_code, begun.headers["Upload-Offset"]) == (201, "0")
        part = {**headers, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        at = begun.headers["Location"]
        assert http.patch(at, headers={**part, "Content-Type": "text/plain"}, content=b"12345").status_code == 415
        sent = http.patch(at, headers=part, content=b"12345")
        assert (sent.status_code, sent.headers["Upload-Offset"], sent.headers["Tus-Resumable"]) == (204, "5", "1.0.0")
        twice = http.patch(at, headers=part, content=b"12345")
        assert (twice.status_code, twice.json()["reason"]) == (409, "offset")
        assert http.patch(at, headers={**part, "Upload-Offset": "5"}, content=b"123456").status_code == 400
        assert http.delete(at, headers=headers).status_code == 204
        assert http.head(at, headers=headers).status_code == 404
        too_long = {**said, "Upload-Length": str(renhe.settings.max_upload_bytes + 1)}
        assert http.post("/api/ingest/uploads", headers={**headers, **too_long}).status_code == 413
    assert left_over(renhe) == []
