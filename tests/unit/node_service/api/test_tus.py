from __future__ import annotations

from base64 import b64encode

import pytest

from domain.errors import Conflict, Invalid
from node_service.api import tus
from node_service.resumable.uploads import Target, UploadState

UPLOAD = "a" * 26


def metadata(**values: str) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def test_metadata_says_what_the_content_becomes() -> None:
    said = metadata(filename="王.dcm", filetype="application/dicom; x=y", upload="ct-1", source="影像")
    assert tus.target(said) == Target("ct-1", "影像")
    assert tus.target(metadata(upload="ct-1", source="pacs", patient=UPLOAD)) == Target("ct-1", "pacs", UPLOAD)


@pytest.mark.parametrize(
    "said",
    [
        None, "", "upload", "upload !!!!,source cGFjcw==", metadata(upload="x"), metadata(source="x"),
        metadata(upload="x" * 65, source="s"), metadata(upload="u", source="s" * 129),
        metadata(upload="u", source="s", patient="../x"), metadata(upload="u", source="s") + ",upload dQ==",
        "upload /w==,source cGFjcw==", "upload é,source cGFjcw==", "upload \x80dQ==,source cGFjcw==",
        metadata(upload="u", source="s") + ",x" * 40,
        metadata(upload="u", source="s", other="x" * 4096), metadata(upload="u", source="s", filetype="text/html"),
    ],
)  # fmt: skip
def test_other_metadata_is_refused(said: str | None) -> None:
    with pytest.raises(Invalid):
        tus.target(said)


@pytest.mark.parametrize("given", [None, "", "-1", "1.0", "0x1", "1" * 16, "１"])
def test_a_number_is_digits(given: str | None) -> None:
    with pytest.raises(Invalid):
        tus.number(given, "Upload-Length")


def test_only_version_one_is_spoken() -> None:
    tus.check_version("1.0.0")
    for other in (None, "", "0.2.2", "1.0.1"):
        with pytest.raises(Conflict) as refused:
            tus.check_version(other)
        assert refused.value.reason == "precondition"


def test_the_state_shows_in_headers() -> None:
    headers = tus.state_headers(UploadState(UPLOAD, 10, 4, "2026-03-01T08:00:00Z"))
    assert (headers["Upload-Offset"], headers["Upload-Length"], headers["Tus-Resumable"]) == ("4", "10", "1.0.0")
    assert headers["Upload-Expires"] == "Sun, 01 Mar 2026 08:00:00 GMT"
    assert tus.RECORD_HEADER not in headers
    done = tus.state_headers(UploadState(UPLOAD, 10, 10, "2026-03-01T08:00:00Z", "r" * 26))
    assert done[tus.RECORD_HEADER] == "r" * 26
