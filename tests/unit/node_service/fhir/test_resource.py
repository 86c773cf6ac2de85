"""Texts that a resource may hold."""

from __future__ import annotations

import pytest

from node_service.fhir.resource import parse_resource


@pytest.mark.parametrize("text", [r"\t\n\r", r"\\b", r"\\u0000", r"\\\\f", r"\u0020", "\u202e", r"\ud83d\ude00"])
def test_a_string_with_allowed_escapes_is_kept_as_it_is(text: str) -> None:
    encoded = f'{{"resourceType":"Basic","x":"{text}"}}'.encode()
    assert parse_resource(encoded).encoded == encoded
