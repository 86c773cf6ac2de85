"""The hospital's file of retention rules: its own, or the one that the node ships."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from domain.errors import Invalid
from node_service.retention.rules import Rules, parse_rules

DEFAULT: Final = "china.toml"
MAX_FILE_BYTES: Final = 1 << 20


def load_rules(path: Path | None) -> Rules:
    """The rules of a file; None: the shipped rules of China.

    Raises:
        Invalid: the file cannot be read or breaks a rule of its form; the message names file and place.
    """
    return _shipped() if path is None else _own(path)


@cache
def _shipped() -> Rules:
    return parse_rules(files("node_service.retention").joinpath(DEFAULT).read_text(encoding="utf-8"))


@cache
def _own(path: Path) -> Rules:
    """Read once per process: what a hospital changes counts from the next start on, for all its workers together."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise Invalid(f"a file of retention rules has at most {MAX_FILE_BYTES} bytes", reason="retention")
        return parse_rules(content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {type(error).__name__}", reason="retention") from None
    except Invalid as error:
        raise Invalid(f"{path}: {error.detail}", reason="retention", place=error.place) from None
