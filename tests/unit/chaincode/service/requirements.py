"""What the contract's image installs, by the lock: ``python -m tests.unit.chaincode.service.requirements`` writes it.

Pip installs it with ``--require-hashes``, so it is exactly what the tests ran with.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
FILE = ROOT / "chaincode" / "service" / "requirements.txt"
ROOTS = (
    "cryptography",
    "googleapis-common-protos",
    "grpcio",
    "hyperledger-fabric-protos",
    "prometheus-client",
    "protobuf",
    "pynacl",
    "rfc8785",
)
"""What chaincode, domain and network.blocks import."""

HEAD = "# From uv.lock; python -m tests.unit.chaincode.service.requirements writes it anew. Linux only.\n"


def locked() -> dict[str, dict[str, Any]]:
    """The packages that the contract needs, by name, with what they need themselves."""
    packages = {it["name"]: it for it in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    found: dict[str, dict[str, Any]] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = packages[name]
            waiting += [needed["name"] for needed in packages[name].get("dependencies", [])]
    return found


def text() -> str:
    """The file's content."""
    lines = [HEAD]
    for name, package in sorted(locked().items()):
        hashes = sorted(wheel["hash"] for wheel in package["wheels"] if fits(wheel["url"].rpartition("/")[2]))
        lines.append(f"{name}=={package['version']}" + "".join(f" \\\n    --hash={one}" for one in hashes) + "\n")
    return "".join(lines)


def fits(wheel: str) -> bool:
    """Whether the image could install this wheel."""
    return "manylinux" in wheel or wheel.endswith("-none-any.whl")


if __name__ == "__main__":
    FILE.write_text(text())
