"""What others wrote, made fit for a terminal.

A clinician's message or a hospital's name could else move the cursor, rewrite what the patient reads before signing,
or reverse it (Unicode bidirectional controls, UAX #9).
"""

from __future__ import annotations

from typing import Final

from rich.markup import escape

_REPLACEMENT: Final = "\ufffd"


def plain(text: str) -> str:
    """The text on one line, without control and format characters."""
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


def cell(text: str) -> str:
    """The text as it is for a table, which would take brackets for markup."""
    return escape(plain(text))
