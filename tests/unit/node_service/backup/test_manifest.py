"""The manifest of a backup has one spelling, and everything in it is authenticated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain import jcs
from domain.errors import Tampered
from domain.identifiers import encode_bytes
from node_service.backup.manifest import (
    CUSTODY_LOG,
    DATABASE,
    IDENTITY,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    OBJECTS_LIST,
    Manifest,
    encode_signed,
    parse_signed,
    read_signed,
)

DIGEST, MAC = encode_bytes(bytes(32)), bytes(range(32))
NAMES = (IDENTITY, OBJECTS_LIST, CUSTODY_LOG)


def manifest(*names: str) -> Manifest:
    return Manifest("AMSP", "2026-01-01T00:00:00Z", dict.fromkeys(names, DIGEST), 3, 1)


@pytest.mark.parametrize("names", [NAMES, (*NAMES, DATABASE)])
def test_a_manifest_is_read_as_it_was_written(names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(encode_signed(manifest(*names), MAC))
    assert read_signed(tmp_path) == (manifest(*names), MAC)


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1}, {"version": True}, {"version": 2}, {"objects": True}, {"objects": -1}, {"copied": None},
        {"mspId": "A MSP"}, {"at": "yesterday"}, {"files": {}}, {"files": []},
        {"files": dict.fromkeys((*NAMES, "../x"), DIGEST)}, {"files": dict.fromkeys(NAMES, "x")},
    ],
)  # fmt: skip
def test_another_manifest_is_refused(changes: dict[str, Any]) -> None:
    fields = json.loads(encode_signed(manifest(*NAMES), MAC))
    parse_signed(jcs.canonical(fields))
    with pytest.raises(Tampered):
        parse_signed(jcs.canonical({**fields, "manifest": {**fields["manifest"], **changes}}))


@pytest.mark.parametrize("changes", [{"more": 1}, {"mac": "AA"}, {"mac": None}, {"manifest": None}])
def test_another_authentication_is_refused(changes: dict[str, Any]) -> None:
    fields = json.loads(encode_signed(manifest(*NAMES), MAC))
    with pytest.raises(Tampered):
        parse_signed(jcs.canonical({**fields, **changes}))


def test_a_database_is_part_of_a_manifest_only_where_the_backup_made_one(tmp_path: Path) -> None:
    for name in (*NAMES, DATABASE):
        (tmp_path / name).write_bytes(b"x")
    for has_database in (True, False):
        made = Manifest.of_folder(tmp_path, "AMSP", "2026-01-01T00:00:00Z", 0, 0, has_database=has_database)
        assert made.has_database == has_database


def test_a_long_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(Tampered):
        read_signed(tmp_path)
