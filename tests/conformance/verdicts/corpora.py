"""The corpora on which all implementations agree: ``python -m tests.conformance.verdicts.corpora`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.verdicts import sealed_messages, signatures, texts

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


def files() -> dict[str, str]:
    """File names and contents; one case a line, so that a difference can be read."""
    corpora: dict[str, list[Any]] = {
        "ed25519-strict.json": signatures.cases(),
        "jcs-strict.json": texts.cases(),
        "hpke-x25519.json": sealed_messages.cases(),
    }
    return {name: f"[\n{_lines(cases)}\n]\n" for name, cases in corpora.items()}


def _lines(cases: list[Any]) -> str:
    return ",\n".join(json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases)


if __name__ == "__main__":
    for file_name, content in files().items():
        (FOLDER / file_name).write_text(content)
