"""``yilian demo`` as a person runs it: what it reports, what it does with bad input, that it tells failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from yilian.evil.limits import LIMITS
from yilian.evil.story import THEFTS
from yilian.evil.theft import Theft

KEYS = {
    "records", "resources_by_type", "dicom_instances", "anchored", "witnessed", "receipts", "steps", "skipped",
    "refused", "blocks",
    "verified_transactions",
}  # fmt: skip
STEPS = [
    "network", "ingest", "witnessed", "enrol", "refused", "request", "preview", "grant", "shared-read", "who-read",
    "receipts", "revoke", "break-glass", "tamper", "audit",
]  # fmt: skip
TIMEOUT_S = 540
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """What a run said, and its report if it wrote one."""

    code: int
    output: str
    report: dict[str, Any] | None


def demo(folder: Path, *arguments: str, language: str = "en") -> Ran:
    """Run the command in a process of its own."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "yilian", "--lang", language, "demo", "--headless", "--report", str(report)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("YILIAN_")}
    environment["TMPDIR"] = str(folder)
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    found = json.loads(report.read_text()) if report.exists() else None
    return Ran(done.returncode, done.stdout + done.stderr, found)


def check_whole(ran: Ran) -> dict[str, Any]:
    """The story was told to its end, and the report's numbers fit each other."""
    assert ran.code == 0, ran.output
    assert ran.report is not None
    report = ran.report
    assert set(report) == KEYS
    assert [(step["name"], step["ok"]) for step in report["steps"]] == [(name, True) for name in STEPS]
    assert all(set(step) == {"name", "ok", "seconds"} and step["seconds"] >= 0 for step in report["steps"])
    assert report["records"] == report["anchored"] == sum(report["resources_by_type"].values())
    assert report["witnessed"] == report["records"]
    assert report["receipts"] > 0
    assert report["verified_transactions"] > 0
    assert 0 < report["blocks"] <= report["verified_transactions"]
    assert all({"source", "reason"} <= set(issue) for issue in report["skipped"] + report["refused"])
    return report


@pytest.mark.slow
def test_without_data_the_story_is_told_on_made_histories_and_leaves_nothing_behind(tmp_path: Path) -> None:
    report = check_whole(demo(tmp_path))
    assert report["skipped"] == report["refused"] == []
    assert report["dicom_instances"] > 0
    assert report["resources_by_type"]["Patient"] == 12
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.slow
@pytest.mark.sqlite
def test_bad_files_are_reported_with_reasons_and_fail_no_step(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_mixed(data)
    ran = demo(tmp_path, "--data", str(data), language="zh")
    report = check_whole(ran)
    assert "全部" in ran.output or "患者撤销" in ran.output
    assert report["resources_by_type"] == {"AllergyIntolerance": 1, "Observation": 2, "Patient": 1}
    assert report["dicom_instances"] == 0
    skipped = {issue["source"]: issue["reason"] for issue in report["skipped"]}
    refused = {issue["source"]: (issue["place"], issue["reason"]) for issue in report["refused"]}
    assert set(skipped) == {"notes.txt", "settings.json"}
    assert set(refused) == {"broken.json", "invalid.json"}
    assert all(skipped.values())
    assert refused["invalid.json"][0] == "status"
    assert all(reason for _place, reason in refused.values())
    assert "Wang" not in json.dumps(report)


def write_mixed(data: Path) -> None:
    """One Bundle; one file each that is broken, invalid, no FHIR, no kind that is taken."""
    person = "urn:uuid:0d3a1c52-0000-4000-8000-000000000001"
    subject = {"reference": person}
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}, "subject": subject}
    allergy = {"resourceType": "AllergyIntolerance", "patient": subject, "code": {"text": "penicillin"}}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "name": [{"family": "Wang"}]},
        {**weight, "valueQuantity": {"value": 70.50, "unit": "kg"}}, {**weight, "note": [{"text": "again"}]}, allergy,
    ]  # fmt: skip
    entries = [
        {
            "fullUrl": f"{person[:-1]}{number}", "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for number, resource in enumerate(resources, start=1)
    ]  # fmt: skip
    (data / "bundle.json").write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    (data / "broken.json").write_text('{"resourceType": "Observation", "status": "fin')
    (data / "invalid.json").write_text(json.dumps({**weight, "status": ["final"], "subject": {"display": "Wang"}}))
    (data / "settings.json").write_text('{"colour": "green"}')
    (data / "notes.txt").write_text("nothing for us")


def test_an_empty_folder_ends_at_once_with_a_clear_message(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    ran = demo(tmp_path, "--data", str(data))
    assert ran.code != 0
    assert "no file" in ran.output
    assert str(data) in ran.output.replace("\n", "")
    assert "Traceback" not in ran.output


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--data", str(tmp_path / "nowhere"))
    assert ran.code == 2
    assert "nowhere" in ran.output.replace("\n", "")
    assert ran.report is None


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.sqlite
def test_the_public_data_goes_in_whole_but_for_one_invalid_binary(tmp_path: Path, shared_data: Path) -> None:
    started = time.monotonic()
    report = check_whole(demo(tmp_path, "--data", str(shared_data)))
    print(f"\nthe whole story on the public data took {time.monotonic() - started:.0f} s")  # noqa: T201 - for people
    entries = sum(
        len(json.loads(path.read_bytes())["entry"]) for path in (shared_data / "fhir" / "synthea").glob("*.json")
    )
    singles = [path for folder in ("pcf", "balp") for path in resources_in(shared_data / "fhir" / folder)]
    assert entries == 2319
    assert [issue["source"] for issue in report["refused"]] == ["fhir/pcf/Binary-B-ink.json"]
    series = report["resources_by_type"]["ImagingSeries"]
    assert (series, report["dicom_instances"]) == (4, 191)
    assert report["records"] == entries + len(singles) - 1 + series
    assert not [issue for issue in report["skipped"] if issue["source"].endswith(".dcm")]


def resources_in(folder: Path) -> list[Path]:
    """The files that hold one resource."""
    return [path for path in folder.rglob("*.json") if "resourceType" in json.loads(path.read_bytes())]


@pytest.mark.sqlite
def test_each_theft_is_refused_and_what_nobody_prevents_is_named(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--evil")
    assert ran.code == 0, ran.output
    assert ran.report is not None
    steps = {step["name"]: step for step in ran.report["steps"]}
    assert all(step["ok"] for step in steps.values())
    refusals = {name: (step["by"], step["reason"]) for name, step in steps.items() if name.startswith("evil-")}
    assert refusals == {f"evil-{theft.name}": (theft.expected.by, theft.expected.reason) for theft in THEFTS}
    assert all(by and reason for by, reason in refusals.values())
    told = " ".join(ran.output.split())  # the console breaks lines
    assert [theft.name for theft in THEFTS if not re.search(told_of(theft), told)] == []
    assert ran.report["not_preventable"] == [limit.name for limit in LIMITS]


def told_of(theft: Theft) -> str:
    """How people are told of a refused theft: what was tried, who refused, why."""
    tried, by, reason = map(re.escape, (theft.english, theft.expected.by, theft.expected.reason))
    return rf"A hospital {tried} ✓ [\d.]+ s refused by the {by}: {reason}(?= )"
