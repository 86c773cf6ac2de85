"""The image holds what the contract's service needs, and no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.unit.chaincode.service.requirements import FILE, ROOT, locked, text

DOCKERFILE = (FILE.parent / "Dockerfile").read_text()
PROGRAM = """
import json, sys
import chaincode.service.__main__, chaincode.contract.v1
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(json.dumps({name: file for name, file in files.items() if file}))
"""


def copy_files(target: Path) -> None:
    """What the image's build copies."""
    for line in re.findall(r"^COPY (?!chaincode/service/requirements)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, destination = line.split()
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, target / destination, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (target / destination).mkdir(exist_ok=True)
                shutil.copy(path, target / destination)


def test_the_requirements_are_those_of_the_lock() -> None:
    assert FILE.read_text() == text()


def test_the_service_starts_from_the_image_s_files_and_packages_alone(tmp_path: Path) -> None:
    copy_files(tmp_path)
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True, capture_output=True, text=True)
    files: dict[str, str] = json.loads(told.stdout)
    own = {name for name, file in files.items() if file.startswith(str(tmp_path))}
    assert {name.partition(".")[0] for name in own} == {"chaincode", "domain", "network"}
    assert not any(file.startswith(str(ROOT)) for file in files.values() if "site-packages" not in file)
    names = {name.partition(".")[0] for name, file in files.items() if "site-packages" in file}
    installed = {one.lower().replace("_", "-") for name in names for one in packages_distributions().get(name, [])}
    assert installed - {"yilian"} <= set(locked())


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
