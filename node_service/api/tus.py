"""The tus resumable upload protocol 1.0.0 on the wire: its headers (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import re
from email.utils import format_datetime
from typing import Final

from domain.errors import Conflict, Invalid
from domain.instants import moment
from node_service.records.instances import DICOM
from node_service.resumable.uploads import Target, UploadState

PATH: Final = "/api/ingest/uploads"
VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,expiration,termination"
HEADERS: Final = {"Tus-Resumable": VERSION, "Tus-Version": VERSION}
PART_TYPE: Final = "application/offset+octet-stream"
RECORD_HEADER: Final = "Yilian-Record"
MAX_METADATA_CHARACTERS: Final = 4096
_MAX_METADATA_PAIRS: Final = 32
_NUMBER: Final = re.compile(r"\d{1,15}", re.ASCII)


def check_version(given: str | None) -> None:
    """Refuse a client of another version of the protocol.

    Raises:
        Conflict: not 1.0.0 (``precondition``).
    """
    if given != VERSION:
        raise Conflict(f"version {VERSION} of tus is spoken here", reason="precondition", place="Tus-Resumable")


def number(given: str | None, place: str) -> int:
    """A header that is a number of bytes.

    Raises:
        Invalid: it is missing or none.
    """
    if given is None or _NUMBER.fullmatch(given) is None:
        raise Invalid("a number of bytes is expected", place=place)
    return int(given)


def target(metadata: str | None) -> Target:
    """``Upload-Metadata``: ``upload`` and ``source``, ``patient`` and ``filetype`` where given; others are not kept.

    Raises:
        Invalid: a value is missing, or not base64 of UTF-8, or a key is there twice.
    """
    found = _pairs(metadata or "")
    return Target(
        found.get("upload", ""),
        found.get("source", ""),
        found.get("patient") or None,
        found.get("filetype", DICOM).partition(";")[0].strip().lower(),
    )


def _pairs(metadata: str) -> dict[str, str]:
    pairs = [pair.strip().partition(" ") for pair in metadata.split(",")]
    if len(metadata) > MAX_METADATA_CHARACTERS or len(pairs) > _MAX_METADATA_PAIRS:
        raise Invalid("there is too much of it", place="Upload-Metadata")
    found = {key: value for key, _, value in pairs}
    if len(found) != len(pairs):
        raise Invalid("a key is there twice", place="Upload-Metadata")
    return {key: _decoded(value) for key, value in found.items() if key in _KEYS}


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:  # other characters than ASCII, no base64, no UTF-8
        raise Invalid("values are base64 of UTF-8", place="Upload-Metadata") from None


def state_headers(state: UploadState) -> dict[str, str]:
    """How far an upload is, and the record that it became."""
    record = {} if state.record is None else {RECORD_HEADER: state.record}
    expires = {"Upload-Expires": format_datetime(moment(state.expires_at), usegmt=True)}
    lengths = {"Upload-Offset": str(state.received), "Upload-Length": str(state.length)}
    return HEADERS | lengths | expires | record | {"Cache-Control": "no-store"}


_KEYS: Final = ("upload", "source", "patient", "filetype")
