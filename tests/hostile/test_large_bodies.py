"""Bodies far larger than a node's memory: cut, resumed, read slowly and in ranges, and gone when nobody goes on.

300 MiB in every run, 5 GiB in ``make soak``.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults.counts import repetitions
from tests.hostile.conftest import attacked_hospital
from tests.hostile.victim import SECRET, Victim
from tests.unit.node_service.records.test_series import instance

MIB: Final = 1 << 20
SIZE: Final = repetitions(300, 5120) * MIB
MAX_GROWTH_BYTES: Final = 64 * MIB
"""Over the idle node."""

PATH: Final = "/api/ingest/uploads"
TUS: Final = {"Tus-Resumable": "1.0.0"}
PART: Final = {"Content-Type": "application/offset+octet-stream"}
SLOW_READERS: Final = 8
HEAD: Final = instance(1, pixels=b"\x01\x02" * 512)
_LOG: Final = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    settings = {"RenheMSP": {"MAX_UPLOAD_BYTES": str(6 << 30)}}
    with attacked_hospital(tmp_path_factory.mktemp("large"), settings) as victim:
        yield victim


@pytest.fixture
def http(attacked: Victim) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=attacked.hospital.url, trust_env=False, timeout=600) as client:
        yield client


def content(begin: int, end: int) -> Iterator[bytes]:
    """An instance with so much behind it that it fills ``SIZE``; every mebibyte is another one."""
    while begin < end:
        block, at = divmod(begin, MIB)
        whole = (HEAD + SECRET if block == 0 else b"%016d" % block).ljust(1024, b"\x5a")
        piece = (whole[:1024] * 1024 if block else whole.ljust(MIB, b"\x5a"))[at : at + end - begin]
        begin += len(piece)
        yield piece


def begun(http: httpx.Client, victim: Victim, length: int = SIZE, upload: str = "large") -> str:
    said = ",".join(
        f"{key} {b64encode(value).decode()}" for key, value in (("upload", upload.encode()), ("source", b"s"))
    )
    answer = http.post(
        PATH, headers=victim.headers("system", **TUS, **{"Upload-Length": str(length), "Upload-Metadata": said})
    )
    assert answer.status_code == 201
    return answer.headers["Location"]


def cut(victim: Victim, location: str, begin: int, end: int, announced: int) -> None:
    """Send a part and hang up before its announced end."""
    fields = {"Host": "x", **TUS, **PART, "Upload-Offset": str(begin), "Content-Length": str(announced - begin)}
    lines = [
        f"PATCH {location} HTTP/1.1",
        *(f"{k}: {v}" for k, v in victim.headers("system", **fields).items()),
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", victim.hospital.port), timeout=120) as connection:
        connection.sendall("\r\n".join(lines).encode())
        for piece in content(begin, end):
            connection.sendall(piece)


def offset_of(http: httpx.Client, victim: Victim, location: str) -> int:
    answer = http.head(location, headers=victim.headers("system", **TUS))
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def settled(http: httpx.Client, victim: Victim, location: str, least: int) -> int:
    """The offset once so much is durable and no more comes."""
    deadline, before = time.monotonic() + 300, -1
    while time.monotonic() < deadline:
        now = offset_of(http, victim, location)
        if now == before and now >= least:
            return now
        before = now
        time.sleep(1)
    raise AssertionError("what was sent before the cut is not kept")


def finished(http: httpx.Client, victim: Victim, location: str, offset: int) -> str:
    headers = victim.headers("system", **TUS, **PART)
    while True:
        size = str(SIZE - offset)
        answer = http.patch(
            location, headers={**headers, "Upload-Offset": str(offset), "Content-Length": size},
            content=content(offset, SIZE),
        )  # fmt: skip
        if answer.status_code not in (409, 423):
            break
        time.sleep(0.5)
        offset = offset_of(http, victim, location)
    assert answer.status_code == 204, answer.text
    assert answer.headers["Upload-Offset"] == str(SIZE)
    return answer.headers["Yilian-Record"]


def parts(victim: Victim) -> list[Path]:
    return sorted((victim.hospital.folder / "uploads").iterdir())


def idle(victim: Victim) -> int:
    victim.wait_idle()
    victim.forget_peak()
    return victim.peak_resident_bytes()


def test_a_large_body_is_cut_goes_on_and_is_read_slowly_in_bounded_memory(attacked: Victim, http: httpx.Client) -> None:
    doctor = attacked.headers("clinician")
    before, started = idle(attacked), time.monotonic()
    location = begun(http, attacked)
    cut(attacked, location, 0, SIZE // 3, SIZE)
    offset = settled(http, attacked, location, SIZE // 3 - 32 * MIB)
    assert offset <= SIZE // 3
    assert attacked.files_with_secret() == []
    went_on = time.monotonic()
    record = finished(http, attacked, location, offset)
    uploaded = time.monotonic()
    assert parts(attacked) == []
    grown = attacked.peak_resident_bytes() - before
    _LOG.info(
        "upload of %d MiB: %.0f MiB/s, peak %d MiB over idle; in all %.1f s", SIZE // MIB,
        (SIZE - offset) / MIB / (uploaded - went_on), grown // MIB, uploaded - started,
    )  # fmt: skip
    assert grown <= MAX_GROWTH_BYTES, f"{grown // MIB} MiB"

    closed = http.post("/api/ingest/dicom/close?upload=large", headers=attacked.headers("system"))
    assert closed.json()["stored"][0]["record"] == record
    (member,) = http.get(f"/api/records/{record}/members", headers=doctor).json()
    assert member["length"] == SIZE
    address = f"/api/records/{record}/members/{member['object_id']}"
    before, started = idle(attacked), time.monotonic()
    digest, read, tag = hashlib.sha256(), 0, ""
    with http.stream("GET", address, headers=doctor) as answer:
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(SIZE))
        tag = answer.headers["ETag"]
        for piece in answer.iter_raw():
            digest.update(piece)
            read += len(piece)
            if read > SIZE // 2:
                break  # cut in the middle
    with http.stream("GET", address, headers={**doctor, "Range": f"bytes={read}-", "If-Range": tag}) as answer:
        assert (answer.status_code, answer.headers["Content-Range"]) == (206, f"bytes {read}-{SIZE - 1}/{SIZE}")
        for piece in answer.iter_raw():
            digest.update(piece)
    took = time.monotonic() - started
    expected = hashlib.sha256()
    for piece in content(0, SIZE):
        expected.update(piece)
    assert digest.digest() == expected.digest()
    grown = attacked.peak_resident_bytes() - before
    _LOG.info("download: %.0f MiB/s, peak %d MiB over idle", SIZE / MIB / took, grown // MIB)
    assert grown <= MAX_GROWTH_BYTES, f"{grown // MIB} MiB"

    before = idle(attacked)
    with ExitStack() as open_ones:
        for _ in range(SLOW_READERS):
            answer = open_ones.enter_context(http.stream("GET", address, headers=doctor))
            next(answer.iter_raw(1024))
        time.sleep(3)
        grown = attacked.peak_resident_bytes() - before
    _LOG.info("%d readers that do not read: peak %d MiB over idle", SLOW_READERS, grown // MIB)
    assert grown <= MAX_GROWTH_BYTES, f"{grown // MIB} MiB"
    unsatisfied = http.get(address, headers={**doctor, "Range": f"bytes={SIZE}-"})
    assert (unsatisfied.status_code, unsatisfied.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_slow_and_abandoned_uploads_hold_no_memory_and_a_cancelled_one_leaves_nothing(
    attacked: Victim, http: httpx.Client
) -> None:
    kept, before = attacked.wait_idle(), idle(attacked)
    location = begun(http, attacked, upload="left")

    def drip() -> Iterator[bytes]:
        for piece in content(0, 40 * 1024):
            for start in range(0, len(piece), 1024):
                yield piece[start : start + 1024]
                time.sleep(0.05)

    size = {"Upload-Offset": "0", "Content-Length": str(40 * 1024)}
    assert http.patch(
        location, headers=attacked.headers("system", **TUS, **PART, **size), content=drip()
    ).headers["Upload-Offset"] == str(40 * 1024)  # fmt: skip
    cut(attacked, location, 40 * 1024, 60 * MIB, SIZE)
    settled(http, attacked, location, 28 * MIB)
    assert len(parts(attacked)) == 1
    assert attacked.peak_resident_bytes() - before <= MAX_GROWTH_BYTES
    stranger = http.head(location, headers=attacked.headers("medical-records", **TUS))
    assert stranger.status_code == 404
    deadline = time.monotonic() + 60
    while (answer := http.delete(location, headers=attacked.headers("system", **TUS))).status_code == 423:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert answer.status_code == 204
    assert parts(attacked) == []
    now = attacked.kept()
    assert (now.objects, now.rows["resumable_upload"]) == (kept.objects, kept.rows["resumable_upload"])
    assert attacked.files_with_secret() == []
