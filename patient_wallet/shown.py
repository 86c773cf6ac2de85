"""What others wrote, made fit for a terminal.

A clinician's message or a hospital's name could else move the cursor, rewrite what the patient reads before signing,
or reverse it (Unicode bidirectional controls, UAX #9).
"""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_REPLACEMENT: Final = "\ufffd"
_WIDEST: Final = 1000


def plain(text: str) -> str:
    """The text on one line, without control and format characters."""
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


def cell(text: str) -> str:
    """The text as it is for a table, which would take brackets for markup."""
    return escape(plain(text))


def print_whole(table: Table) -> None:
    """Print a table as wide as it is: an id that is cut cannot be given to the next command."""
    console = Console()
    needed = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    Console(width=max(console.width, needed)).print(table)
