"""Which newer schemas this program works with: revisions are four digits, the first two of which are a generation.

Within a generation revisions only add: tables, and columns that are nullable or have a default in the database. So a
program works with every later revision of its generation, and an older one may be started again while a newer one runs
beside it (docs/adr/0024). What takes something away begins a generation, and the release before it already lists it.
"""

from __future__ import annotations

from typing import Final

BORNE: Final = ("00",)
"""Generations that this program works with."""


def is_borne(revision: str) -> bool:
    """Whether this program works with a schema of a revision that it does not know."""
    return revision[:2] in BORNE
