"""Files of proofs on the command line: members files, receipts, notes, forks."""

# Annotations are evaluated here and now: typer reads them.

import os
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Invalid, Unavailable
from domain.receipt_form import MAX_MEMBERS_BYTES, Members, parse_members

MembersFile = Annotated[Path, typer.Option("--members", help="members.json (yilian audit members)")]


def read_members(path: Path) -> Members:
    """Read a members file.

    Raises:
        Invalid: it is not of the form.
        Unavailable: it cannot be read.
    """
    return parse_members(read_bounded(path, MAX_MEMBERS_BYTES))


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a file that must not be longer.

    Raises:
        Invalid: it is longer.
        Unavailable: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        raise Unavailable(f"the file cannot be read: {error.strerror}", place=path.name) from error
    if len(content) > max_bytes:
        raise Invalid(f"the file is longer than {max_bytes} bytes", reason="too-large", place=path.name)
    return content


def write_new(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        Unavailable: the disk refuses.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise Unavailable(f"the file cannot be written: {error.strerror}", place=path.name) from error
