"""docs/formats/contract-service.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaincode.service.__main__ import parser
from chaincode.service.metrics import Metrics

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "formats" / "contract-service.md").read_text()
SOURCES = "".join(
    path.read_text() for path in (Path(__file__).resolve().parents[4] / "chaincode" / "service").glob("*.py")
)


def test_the_table_of_options_is_the_parser_s() -> None:
    told = dict(re.findall(r"^\| `(--[a-z-]+)` \| (.+?) \|", TEXT, re.MULTILINE))
    actions = [action for action in parser()._actions if action.dest != "help"]
    found = {
        action.option_strings[0]: "required" if action.required else f"`{action.default}`" if action.default else "none"
        for action in actions
    }
    assert told == found


def test_every_metric_is_named() -> None:
    for family in Metrics().registry.collect():
        assert f"`{family.name}" in TEXT, family.name


@pytest.mark.parametrize("word", ["registration_s: float = 10.0", "answer_s: float = 30.0", "256 << 20", "32 << 20"])
def test_numbers_that_the_document_names_are_those_of_the_program(word: str) -> None:
    assert word in SOURCES


def test_every_reason_of_the_service_is_in_the_table() -> None:
    reasons = set(re.findall(r'reason="([a-z-]+)"', SOURCES))
    inner = {"label", "connection", "contract", "address", "settings", "tls", "bad-tls-file", "no-tls-file"}
    ends_stream = {"protocol", "not-registered"}
    assert {reason for reason in reasons - inner - ends_stream if f"`{reason}`" not in TEXT} == set()
    for failure in ("contract-failed", "peer-refused", "peer-garbled", "peer-silent", "peer-gone"):
        assert f"`{failure}`" in TEXT
