"""The commands of a document, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.postgresql import Server

ROOT: Final = Path(__file__).resolve().parents[3]
TIMEOUT_S: Final = 300
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, heading: str) -> list[str]:
    """The shell blocks below a heading of a document, up to the next heading."""
    text = (ROOT / document).read_text()
    (_, section) = text.split(f"\n{heading}\n")
    return _BLOCK.findall(re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0])


def run(block: str, environment: Mapping[str, str], *, server: Server | None = None) -> str:
    """Run a block with this product's and PostgreSQL's programs; return what it said.

    Args:
        server: whose user runs it; by default the one of the node.
    """
    folders = [str(Path(sys.executable).parent), *([str(server.bin)] if server else []), environment["PATH"]]
    as_user = {"user": server.user, "group": server.user, "extra_groups": ()} if server and not os.geteuid() else {}
    done = subprocess.run(  # type: ignore[call-overload]
        ["bash", "-euo", "pipefail", "-c", block], env={**environment, "PATH": os.pathsep.join(folders)},
        cwd=server.folder if server else ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False, **as_user,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)
