"""Sending one large file in parts that go on after an interruption (tus 1.0.0, docs/formats/http.md)."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from domain.errors import Conflict, Invalid, OutcomeUnknown, Tampered, Unavailable, YilianError
from node_service.client.node_client import StaffClient
from node_service.client.transport import SENT_BYTES, Headers

PATH: Final = "/api/ingest/uploads"
PART_BYTES: Final = 64 << 20
"""Of one request; each is a sign of life that keeps the session."""

PATIENCE_S: Final = 600.0
"""So long without any progress is waited before the upload is given up."""

SILENCE_S: Final = 120.0
"""A connection on which nothing moves for so long is given up for another one, well before the upload is."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
_SPOKEN: Final = {"Tus-Resumable": "1.0.0"}
_PASSING: Final = ("offset", "upload-busy")
Sent = Callable[[int, int], None]
"""Told how many bytes of how many are there."""


@dataclass(frozen=True, slots=True)
class LargeUpload:
    """What a file is sent as: one DICOM instance of an upload, as in ``StaffClient.ingest_dicom``."""

    client: StaffClient = field(repr=False)
    source: str
    upload: str
    patient: str | None = None
    sleep: Callable[[float], None] = time.sleep

    def send(self, path: Path, sent: Sent) -> str:
        """Send a file; return the record that it belongs to.

        Raises:
            Invalid, Conflict, NotFound: the node refuses it.
            Unavailable: no progress for ten minutes, and why; nothing of the upload is kept longer than a day.
        """
        length = path.stat().st_size
        location = self._begin(length)
        try:
            with path.open("rb") as file:
                return self._send_all(file, location, length, sent)
        except BaseException:
            with suppress(YilianError):
                self._call("DELETE", location)
            raise

    def _begin(self, length: int) -> str:
        said = {"filetype": "application/dicom", "upload": self.upload, "source": self.source, "patient": self.patient}
        metadata = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in said.items() if value)
        answer = self._call("POST", PATH, {"Upload-Length": str(length), "Upload-Metadata": metadata})
        location = answer.get("location", "")
        if not location.startswith(f"{PATH}/"):
            raise Tampered("the node names no upload", reason="answer")
        return location

    def _send_all(self, file: BinaryIO, location: str, length: int, sent: Sent) -> str:
        offset, pause, since = 0, FIRST_PAUSE_S, time.monotonic()
        while True:
            answer, failure = self._next(file, location, offset, length)
            now = offset if answer is None else _offset(answer, length)
            if now != offset:
                offset, pause, since = now, FIRST_PAUSE_S, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                why = failure or "the node takes nothing in"
                raise Unavailable(
                    f"the upload does not get on from {offset} of {length} bytes: {why}", reason="upload"
                ) from failure
            else:
                self.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            sent(offset, length)
            if answer is not None and (record := answer.get("yilian-record")):
                return record

    def _next(
        self, file: BinaryIO, location: str, offset: int, length: int
    ) -> tuple[Headers | None, YilianError | None]:
        """How far the upload is after another part, None where the node cannot say now; and what came in the way."""
        failure: YilianError
        try:
            return self._part(file, location, offset, length), None
        except (Unavailable, OutcomeUnknown) as error:
            failure = error
        except Conflict as error:
            if error.reason not in _PASSING:
                raise
            failure = error
        with suppress(Unavailable, OutcomeUnknown):
            return self._call("HEAD", location), failure
        return None, failure

    def _part(self, file: BinaryIO, location: str, offset: int, length: int) -> Headers:
        file.seek(offset)
        size = min(PART_BYTES, length - offset)
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(size),
        }
        return self._call("PATCH", location, headers, _read(file, size))

    def _call(
        self, method: str, path: str, headers: Headers | None = None, body: Iterator[bytes] | None = None
    ) -> Headers:
        return self.client.call(
            method, path, body=body, headers=_SPOKEN | dict(headers or {}), timeout_s=SILENCE_S
        ).headers


def _offset(answer: Headers, length: int) -> int:
    text = answer.get("upload-offset", "")
    if not (text.isascii() and text.isdigit()) or int(text) > length:
        raise Tampered("the node does not say how far the upload is", reason="answer")
    return int(text)


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(SENT_BYTES, size))
        if not piece:
            raise Invalid("the file became shorter while it was sent", reason="file")
        size -= len(piece)
        yield piece
