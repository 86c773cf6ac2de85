"""Newline-delimited FHIR (Bulk Data Access 2.0, ``application/fhir+ndjson``): one resource a line, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from domain.errors import Invalid
from node_service.fhir.resource import Resource, parse_resource

MAX_LINE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 1, and the resource or what is wrong with it."""

    number: int
    resource: Resource | Invalid

    @property
    def place(self) -> str:
        """Where the resource stands, for messages."""
        return f"line {self.number}"


def read_ndjson(stream: BinaryIO, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Read the resources of a stream line by line; empty lines are passed over, a bad line stops nothing.

    A line that is too long is reported and passed over without being held in memory.
    """
    number = 0
    while line := stream.readline(max_line_bytes + len(b"\r\n")):
        number += 1
        if len(line.rstrip(b"\r\n")) > max_line_bytes:
            _pass_over(stream, line, max_line_bytes)
            yield Line(number, Invalid(f"the line is longer than {max_line_bytes} bytes", reason="too-large"))
        elif line.strip():
            yield Line(number, _read(line, max_line_bytes))


def _read(line: bytes, max_line_bytes: int) -> Resource | Invalid:
    try:
        return parse_resource(line, max_bytes=max_line_bytes + len(b"\r\n"))
    except Invalid as error:
        return error


def _pass_over(stream: BinaryIO, line: bytes, max_line_bytes: int) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(max_line_bytes)
