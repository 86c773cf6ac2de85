"""Our top-level names belong to us alone in the environment, and nothing names a machine or a person's folder."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("yilian", "domain", "chaincode", "network", "offchain", "node_service", "patient_wallet")


@pytest.mark.parametrize("package", PACKAGES)
def test_top_level_name_belongs_to_us_alone(package: str) -> None:
    others = set(packages_distributions().get(package, [])) - {"yilian"}
    assert not others
    assert (ROOT / package / "__init__.py").is_file()


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_tracked_file_names_a_folder_of_some_machine() -> None:
    private = re.compile(rb"/(?:home/[a-z]+|root|work/[a-z]+|Users/[A-Za-z]+)/")
    named = [path for path in tracked_files() if path.is_file() and private.search(path.read_bytes())]
    assert not named


def test_no_tracked_file_is_a_copy_of_the_public_data(shared_data: Path) -> None:
    theirs = {path.stat().st_size: path for path in shared_data.rglob("*") if path.is_file() and path.stat().st_size}
    copies = [
        path
        for path in tracked_files()
        if path.is_file()
        and path.stat().st_size in theirs
        and path.read_bytes() == theirs[path.stat().st_size].read_bytes()
    ]
    assert not copies
