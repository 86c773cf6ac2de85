"""Bounds that are checked before a text is parsed, and readers whose time grows with the text and no faster."""

from __future__ import annotations

import pytest

from domain.errors import Invalid
from node_service.fhir.json_text import MAX_ESCAPES, MAX_WIDE_BYTES, decode
from node_service.fhir.resource import parse_resource
from tests.cpu import frugal

MIB = 1 << 20
OBSERVATION = b'{"resourceType":"Observation",'


def test_a_long_text_with_characters_of_four_bytes_is_refused_where_the_first_one_is() -> None:
    assert len(decode(b"a" * MAX_WIDE_BYTES)) == MAX_WIDE_BYTES
    assert decode("\U00020bb7".encode() * 5) == "\U00020bb7" * 5
    with pytest.raises(Invalid) as refused:
        decode(b"a" * MAX_WIDE_BYTES + "\U00020bb7".encode())
    assert (refused.value.reason, refused.value.place) == ("too-large", f"byte {MAX_WIDE_BYTES}")


def test_a_text_of_escapes_is_refused_where_the_first_one_is() -> None:
    assert decode(b"\\" * MAX_ESCAPES)
    with pytest.raises(Invalid) as refused:
        decode(b'"\n ' + b"\\" * (MAX_ESCAPES + 1))
    assert (refused.value.reason, refused.value.place) == ("too-large", "line 2 column 2")


@pytest.mark.parametrize(
    "body",
    [
        b'"nowhere":"' + b"a" * (8 * MIB) + b'"}',
        b" " * (8 * MIB) + b'"nowhere":1}',
        b'"' + b"a" * (8 * MIB) + b'":1}',
        b'"reference":"' + b"a/" * (4 * MIB) + b'"}',
        b'"url":"http://' + b"Binary/" * MIB + b'?"}',
    ],
    ids=["text", "spaces", "name", "reference", "url"],
)
def test_eight_mib_are_read_in_half_a_second_of_work(body: bytes) -> None:
    frugal(0.5, lambda: parse_resource(OBSERVATION + body))


def test_an_escaped_quotation_mark_begins_no_member() -> None:
    resource = parse_resource(OBSERVATION + b'"a\\"reference":"Patient/1","b\\\\":"x","reference":"Patient/2"}')
    assert [one.text for one in resource.references] == ["Patient/2"]


@pytest.mark.parametrize(("text", "column"), [(b"\\u0000", 1), (b"\\\\\\u001f", 3), (b"a\\b", 2), (b"\\\\\\\\\\f", 5)])
def test_an_escaped_control_character_is_refused_and_its_letters_behind_a_backslash_are_not(
    text: bytes, column: int
) -> None:
    begin = b'{"resourceType":"Basic","id":"a","code":{"text":"'
    assert parse_resource(begin + b'\\\\u0000\\\\\\\\b\\\\f"}}')
    with pytest.raises(Invalid) as refused:
        parse_resource(begin + text + b'"}}')
    assert (refused.value.reason, refused.value.place) == ("control-character", f"line 1 column {len(begin) + column}")
