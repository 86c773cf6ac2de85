"""Upload and download of a large DICOM instance over HTTP beside a plain server of the same framework."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Final

import httpx
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from node_service.client.transport import SENT_BYTES
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import MIB
from scripts.bench.served import served

_READY_TIMEOUT_S: Final = 20.0
_TIMEOUT_S: Final = 300.0
_PLAIN_SERVER: Final = """
import os, sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
app, folder = FastAPI(), Path(sys.argv[1])

@app.put("/{name}")
async def put(name: str, request: Request) -> dict[str, str]:
    with (folder / name).open("wb", buffering=0) as file:
        async for piece in request.stream():
            file.write(piece)
        os.fsync(file.fileno())
    return {"name": name}

@app.get("/{name}")
async def get(name: str) -> FileResponse:
    return FileResponse(folder / name)

uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning")
"""


@dataclass(frozen=True, slots=True)
class _Plain:
    """The peer: the same framework, plaintext files with fsync."""

    folder: Path
    url: str
    http: httpx.Client

    def upload(self, content: bytes) -> float:
        pieces = (content[start : start + SENT_BYTES] for start in range(0, len(content), SENT_BYTES))
        length = {"Content-Length": str(len(content))}
        self.http.put(f"{self.url}/upload", content=pieces, headers=length).raise_for_status()
        return len(content) / MIB

    def download(self) -> float:
        return _read_all(self.http, f"{self.url}/upload", {})


@contextmanager
def upload(place: Place) -> Iterator[Comparison]:
    """A new instance each round; answered when it is sealed and durable."""
    numbers = count()
    with served(place) as running, _plain(place) as plain:
        contents = {"next": b""}

        def make() -> None:
            contents["next"] = _instance(place.mebibytes)

        def send() -> float:
            running.records.ingest_dicom(contents["next"], source="bench", upload=f"u{next(numbers)}")
            return len(contents["next"]) / MIB

        yield Comparison(
            operation=f"HTTP upload, {place.mebibytes} MiB, sealed",
            unit="MiB",
            ours=Side("PUT /api/ingest/dicom", send, make),
            peer=Side("plain file + fsync", lambda: plain.upload(contents["next"]), make),
            goal=Goal(Figure.SPEED, 0.75),
        )


@contextmanager
def download(place: Place) -> Iterator[Comparison]:
    """The instance of an own series, opened and verified on its way."""
    content = _instance(place.mebibytes)
    with served(place) as running, _plain(place) as plain:
        plain.upload(content)
        running.records.ingest_dicom(content, source="bench", upload="u")
        report = running.records.close_dicom(upload="u")
        series = report.stored[0].record
        [member] = running.clinician.record_members(series)

        def fetch() -> float:
            pieces = running.clinician.record_member(series, member.object_id)
            return sum(len(piece) for piece in pieces) / MIB

        yield Comparison(
            operation=f"HTTP download, {place.mebibytes} MiB, sealed",
            unit="MiB",
            ours=Side("GET /api/records/…/members/…", fetch),
            peer=Side("FileResponse", plain.download),
            goal=Goal(Figure.SPEED, 0.6),
        )


@contextmanager
def _plain(place: Place) -> Iterator[_Plain]:
    folder = place.folder / "plain"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _PLAIN_SERVER, str(folder), str(port)])  # noqa: S603 - ours
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as http:
            _wait(http, f"http://127.0.0.1:{port}/openapi.json")
            yield _Plain(folder, f"http://127.0.0.1:{port}", http)
    finally:
        process.terminate()
        process.wait()


def _wait(http: httpx.Client, url: str) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        try:
            http.get(url).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _read_all(http: httpx.Client, url: str, headers: dict[str, str]) -> float:
    with http.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        return sum(len(piece) for piece in answer.iter_bytes()) / MIB


def _instance(mebibytes: int) -> bytes:
    """A multi-frame CT of 1 MiB frames, of a series and study of its own."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.SeriesInstanceUID, made.StudyInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.PatientID, made.PatientName = "CT", "bench", "Bench"
    made.Rows, made.Columns, made.NumberOfFrames = 1024, 512, mebibytes
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.SamplesPerPixel, made.PixelRepresentation, made.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    made.PixelData = bytes(mebibytes * MIB)
    target = BytesIO()
    made.save_as(target, enforce_file_format=True)
    return target.getvalue()
