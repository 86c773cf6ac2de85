"""The stand-alone verifiers of receipts as anybody runs them: programs of their own, given files and nothing else."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from domain import jcs
from tests.interop.conftest import need

VERIFIER: Final = Path(__file__).resolve().parents[1] / "patient_wallet" / "verifier"
EXIT_CODES: Final = {"verified": 0, "altered": 1, "unusable": 2, "not-witnessed": 3}
_TIMEOUT_S: Final = 60.0
_INSTALL_TIMEOUT_S: Final = 300.0
_NAMING: Final = re.compile(r"[A-Za-z0-9_-]{26,}")
"""An id, a digest or a key."""


def node() -> str:
    """Node.js, with the two packages that the verifier needs, as its lock file has them."""
    program, npm = need("node", "nodejs"), need("npm", "npm")
    with (VERIFIER / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        installed = VERIFIER / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < (VERIFIER / "package-lock.json").stat().st_mtime:
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(
                command, cwd=VERIFIER, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_S
            )
            assert done.returncode == 0, done.stderr
    return program


PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "python": lambda: [sys.executable, str(VERIFIER / "verify_receipt.py")],
    "javascript": lambda: [node(), str(VERIFIER / "verify_receipt.mjs")],
}
"""How each verifier is started."""


def judge(command: list[str], receipt: Path, members: Path) -> tuple[int, str]:
    """Exit status, and what was said."""
    done = subprocess.run(
        [*command, str(receipt), str(members)], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def check_verified(receipt: Path, members: Path) -> dict[str, Any]:
    """Every verifier takes the files and says the same of them, which is returned; each refuses altered ones."""
    said = list[dict[str, Any]]()
    for name, program in PROGRAMS.items():
        command = program()
        code, told = judge(command, receipt, members)
        assert code == EXIT_CODES["verified"], f"{name}: {told}"
        said.append(json.loads(told))
        for what, altered in alterations(receipt.read_text()):
            other = receipt.with_name(f"altered-{receipt.name}")
            other.write_text(altered)
            assert judge(command, other, members)[0] == EXIT_CODES["altered"], f"{name}, {what}"
    assert said[1:] == said[:-1]
    return said[0]


def alterations(receipt: str) -> Iterator[tuple[str, str]]:
    """The receipt with one letter changed: in what it proves, in the block, in the checkpoint."""
    form = json.loads(receipt)
    proves, (first, size, root, *rest) = form["proves"], form["checkpoint"].split("\n")
    proven = "leaf" if "leaf" in proves else "value"
    for what, change in {
        "proven": {"proves": proves | {proven: _changed(proves[proven])}},
        "block": {"block": _changed(form["block"])},
        "checkpoint": {"checkpoint": "\n".join([first, size, _changed(root), *rest])},
    }.items():
        yield what, jcs.canonical(form | change).decode()


def _changed(text: str) -> str:
    """The text with one letter of its first id, digest or key changed."""
    found = _NAMING.search(text) or re.search(r"[A-Za-z]", text)
    assert found is not None
    at = found.start()
    return f"{text[:at]}{'b' if text[at] != 'b' else 'c'}{text[at + 1 :]}"
