"""The page of the format shows the committed vector, not something like it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from offchain.envelope.suite import A256GCM_1M, A256GCM_64_TEST, Suite

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "formats" / "sealed-object.md").read_text(encoding="utf-8")
VECTORS = json.loads((ROOT / "tests" / "vectors" / "sealed-v1" / "objects.json").read_text(encoding="utf-8"))
ONE_CHUNK = next(vector for vector in VECTORS if vector["name"] == "one-chunk")


def _shown_hex() -> list[str]:
    example = PAGE.split("## Example")[1].split("## Wraps")[0]
    return re.findall(r"^ {4}([0-9a-f]{8,})\b(?!…)", example, re.MULTILINE)


def test_the_example_shows_bytes_of_the_vector() -> None:
    shown = _shown_hex()
    assert len(shown) >= 15
    body = ONE_CHUNK["sealed"][2 * (8 + 158) :]
    assert body in "".join(shown)
    assert ONE_CHUNK["chunkList"] in "".join(shown)


@pytest.mark.parametrize("field", ["dataKey", "objectId", "digest"])
def test_the_example_names_the_values_of_the_vector(field: str) -> None:
    assert ONE_CHUNK[field] in PAGE


@pytest.mark.parametrize("suite", [A256GCM_1M, A256GCM_64_TEST])
def test_the_page_lists_each_suite_with_its_chunk_size(suite: Suite) -> None:
    assert f"| `{suite.name}` | {suite.chunk_bytes:,} bytes |" in PAGE
