"""After real histories came in, no name or number of these people is found in clear on the disk or in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node_service.records.ingest import ingest_fhir
from node_service.records.instances import receive_instance
from node_service.records.series import close_upload
from tests.unit.node_service.records.hospital import Hospital
from tests.unit.node_service.records.test_series import instance

MIN_CANARY_CHARACTERS = 6
"""Shorter words meet by chance in megabytes of random bytes."""


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def canaries(bundle: bytes) -> set[str]:
    """Names, numbers, addresses and ids of the people of a Bundle."""
    people = [
        entry["resource"]
        for entry in json.loads(bundle)["entry"]
        if entry["resource"]["resourceType"] in ("Patient", "Practitioner")
    ]
    words: set[str] = set()
    for person in people:
        words.add(person["id"])
        for name in person["name"]:
            words.update((name["family"], *name["given"]))
        for number in person.get("identifier", []):
            words.add(number["value"])
        for address in person.get("address", []):
            words.update(address.get("line", []))
        words.update(phone["value"] for phone in person.get("telecom", []) if "value" in phone)
    return {word for word in words if len(word) >= MIN_CANARY_CHARACTERS}


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.shared_data
def test_no_name_and_no_number_is_found_on_the_disk_or_in_the_log(
    hospital: Hospital, tmp_path: Path, shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = {"Synthetic", "P-1-canary-number"}
    for path in sorted((shared_data / "fhir" / "synthea").rglob("*.json"))[:2]:
        body = path.read_bytes()
        words |= canaries(body)
        assert ingest_fhir(hospital.node, body, "application/fhir+json", "his").refused == []
    receive_instance(hospital.node, instance(1, patient="P-1-canary-number"), "ct", "pacs")
    close_upload(hospital.node, "ct")
    hospital.settle()
    assert len(words) > 20
    searched = files(tmp_path)
    assert {"node.db", "ledger.db", "custody.log"} <= {path.name for path in searched}
    assert len(searched) > 250
    for path in searched:
        content = path.read_bytes().lower()
        found = [len(word) for word in words if word.lower().encode() in content]
        assert not found, f"{len(found)} canaries in {path.name}"
    log = caplog.text.lower()
    assert not [len(word) for word in words if word.lower() in log]


def test_the_search_would_find_a_name_in_clear(tmp_path: Path) -> None:
    bundle = json.dumps(
        {
            "entry": [
                {
                    "resource": {
                        "resourceType": "Patient",
                        "id": "number-1",
                        "name": [{"family": "Obvious", "given": []}],
                    }
                }
            ]
        }
    )
    words = canaries(bundle.encode())
    (tmp_path / "leak").write_text("x" * 100 + "OBVIOUS" + "y", encoding="utf-8")
    assert words == {"number-1", "Obvious"}
    assert [word for path in files(tmp_path) for word in words if word.lower().encode() in path.read_bytes().lower()]
