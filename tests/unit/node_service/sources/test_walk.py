"""Every file is told by its content, and nothing stops the walk."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from domain.errors import Invalid
from node_service.fhir.validation import validate
from node_service.sources.walk import (
    NOT_TAKEN,
    BundleSource,
    CdaSource,
    NdjsonSource,
    PdfSource,
    Refused,
    ResourceSource,
    SeriesSource,
    Skipped,
    read_sources,
    walk,
)
from tests.unit.node_service.cda.documents import admission, ccd
from tests.unit.node_service.documents.files import pdf


def test_everything_in_the_public_data_set_is_classified(shared_data: Path) -> None:
    items = list(read_sources([shared_data]))
    bundles = [item for item in items if isinstance(item, BundleSource)]
    series = [item for item in items if isinstance(item, SeriesSource)]
    assert len(bundles) == 14
    assert sum(len(item.parts.entries) for item in bundles) == 2319
    assert [(item.source.split("/")[1], len(item.series.instances)) for item in series] == [
        ("LIDC-IDRI-0001-slab", 16),
        ("LIDC-IDRI-0002-slab", 12),
        ("LIDC-IDRI-0063", 133),
        ("Lung-PET-CT-Dx-A0002", 30),
    ]
    assert not [item for item in items if isinstance(item, Refused)]
    skipped = Counter((item.reason, item.source.rsplit(".", 1)[-1]) for item in items if isinstance(item, Skipped))
    assert skipped == {
        (NOT_TAKEN, "hl7"): 94,
        (NOT_TAKEN, "block"): 92,
        (NOT_TAKEN, "pem"): 15,
        (NOT_TAKEN, "npz"): 2,
        (NOT_TAKEN, "csv"): 2,
        (NOT_TAKEN, "md"): 2,
        ("JSON without resourceType", "json"): 3,
    }


def test_the_single_resources_of_the_public_data_set_are_valid_but_for_one(shared_data: Path) -> None:
    items = [item for item in read_sources([shared_data / "fhir"]) if isinstance(item, ResourceSource)]
    assert Counter(item.source.split("/")[0] for item in items) == {"balp": 80, "pcf": 48}
    refused = {item.source: [problem.place for problem in validate(item.resource)] for item in items}
    assert {source: places for source, places in refused.items() if places} == {
        "pcf/Binary-B-ink.json": ["data"]  # a file name where base64 belongs
    }


def test_items_come_in_path_order_with_relative_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.json", "a.json", "b/1.json"):
        (tmp_path / name).write_bytes(b'{"resourceType":"Basic"}')
    assert [item.source for item in read_sources([tmp_path])] == ["a.json", "b/1.json", "b/2.json"]


def test_files_of_two_folders_with_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x/data", "y/data"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.json").write_bytes(b'{"resourceType":"Basic"}')
    sources = [item.source for item in read_sources([tmp_path / "x/data", tmp_path / "y/data"])]
    assert sources == [f"{tmp_path.as_posix()}/x/data/1.json", f"{tmp_path.as_posix()}/y/data/1.json"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("1.json", b'{"a":1}', Skipped("1.json", "JSON without resourceType")),
        ("1.json", b'{"resourceType":{"type":"string"}}', Skipped("1.json", "JSON without resourceType")),
        ("1.json", b"[]", Skipped("1.json", "JSON without resourceType")),
        ("1.json", b"not json", Skipped("1.json", NOT_TAKEN)),
        ("1.json", b"", Skipped("1.json", NOT_TAKEN)),
        ("1.json", b'{"resourceType":"Basic"', Refused("1.json", "line 1 column 24", "this is not JSON")),
        ("1.json", b'{"resourceType":"Basic",\n"a":}', Refused("1.json", "line 2 column 5", "this is not JSON")),
        ("1.json", b'\xff{"resourceType":"Basic"}', Refused("1.json", "byte 0", "the text is not UTF-8")),
        (
            "1.json",
            b'{"resourceType":"basic"}',
            Refused("1.json", "resourceType", "resourceType names no resource type"),
        ),
        (
            "1.json",
            b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{}}]}',
            Refused("1.json", "entry[0].resource.resourceType", "resourceType names no resource type"),
        ),
        ("1.md", b"# x", Skipped("1.md", NOT_TAKEN)),
        ("1.txt", b"", Skipped("1.txt", NOT_TAKEN)),
        ("1", b"\0" * 128 + b"DICM", Refused("1", "StudyInstanceUID", "an image needs its UIDs (PS3.5 section 9.1)")),
        ("1", b"\x08\x00\x05\x00CS\x04\x00" + b"x" * 200, Skipped("1", NOT_TAKEN)),
    ],
)
def test_a_file_is_skipped_or_refused_with_place_and_reason(
    tmp_path: Path, name: str, content: bytes, expected: Skipped | Refused
) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(read_sources([tmp_path])) == [expected]


def test_a_resource_is_found_under_any_file_name(tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(b'\xef\xbb\xbf {"id":"1","resourceType":"Basic"}')
    (item,) = read_sources([tmp_path])
    assert isinstance(item, ResourceSource)
    assert item.resource.encoded == b'{"id":"1","resourceType":"Basic"}'


def test_a_file_of_lines_is_left_to_be_streamed(tmp_path: Path) -> None:
    (tmp_path / "1.ndjson").write_bytes(b"anything")
    assert list(read_sources([tmp_path])) == [NdjsonSource("1.ndjson", tmp_path / "1.ndjson")]


def test_a_pipe_and_a_broken_link_do_not_stop_the_walk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert list(read_sources([tmp_path])) == [
        Skipped("link", "not a regular file"),
        Skipped("pipe", "not a regular file"),
    ]


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        list(walk([tmp_path / "nowhere"]))


def test_documents_are_told_by_content_and_broken_ones_refused_with_their_place(tmp_path: Path) -> None:
    files = {
        "1.xml": ccd(),
        "2.cda": admission(encoding="GBK"),
        "3.xml": admission(encoding="UTF-16"),
        "4.PDF": pdf(),
        "5": pdf(),
        "6.xml": b"<html/>",
        "7.xml": ccd()[:-20],
        "8.pdf": pdf()[:-20],
        "9.pdf": b"a text",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    items = list(read_sources([tmp_path]))
    assert items == [
        CdaSource("1.xml", files["1.xml"]),
        CdaSource("2.cda", files["2.cda"]),
        CdaSource("3.xml", files["3.xml"]),
        PdfSource("4.PDF", files["4.PDF"]),
        PdfSource("5", files["5"]),
        Skipped("6.xml", NOT_TAKEN),
        Refused("7.xml", "line 42", "the XML is not well-formed"),
        Refused("8.pdf", "trailer", "a PDF file ends with startxref and %%EOF"),
        Skipped("9.pdf", NOT_TAKEN),
    ]
