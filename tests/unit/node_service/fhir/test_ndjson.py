"""Resources, one a line, as a stream."""

from __future__ import annotations

from io import BytesIO

from domain.errors import Invalid
from node_service.fhir.ndjson import read_ndjson
from node_service.fhir.resource import Resource

BASIC = b'{"resourceType":"Basic"}'


def outcomes(content: bytes, max_line_bytes: int = 1000) -> list[tuple[str, str]]:
    return [
        (line.place, line.resource.reason if isinstance(line.resource, Invalid) else line.resource.resource_type)
        for line in read_ndjson(BytesIO(content), max_line_bytes=max_line_bytes)
    ]


def test_each_line_is_a_resource_and_empty_lines_are_passed_over() -> None:
    content = BASIC + b"\r\n\n  \n" + BASIC
    assert outcomes(content) == [("line 1", "Basic"), ("line 4", "Basic")]


def test_a_bad_line_does_not_stop_the_others() -> None:
    assert outcomes(b"{\n" + BASIC + b"\n[]\n") == [("line 1", "not-json"), ("line 2", "Basic"), ("line 3", "not-json")]


def test_a_line_that_is_too_long_is_reported_once_and_passed_over() -> None:
    long = b'{"resourceType":"Basic","x":"' + b"x" * 500 + b'"}'
    content = long + b"\n" + BASIC + b"\n" + long
    assert outcomes(content, 100) == [("line 1", "too-large"), ("line 2", "Basic"), ("line 3", "too-large")]


def test_a_line_of_just_the_bound_is_read() -> None:
    assert outcomes(BASIC + b"\r\n" + BASIC, len(BASIC)) == [("line 1", "Basic"), ("line 2", "Basic")]


def test_the_bytes_of_a_line_are_kept_without_its_end() -> None:
    (line,) = read_ndjson(BytesIO(BASIC + b"\r\n"))
    assert isinstance(line.resource, Resource)
    assert line.resource.encoded == BASIC
