"""Small checks that the constructors of wire values share; each raises ``Invalid`` naming the field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from domain.errors import Invalid
from domain.jcs import MAX_SAFE_INTEGER

Check = Callable[[object, str], object]


def check_member(value: object, place: str, allowed: Collection[str]) -> str:
    """Return the value if it is one of the allowed codes."""
    if not isinstance(value, str) or value not in allowed:
        raise Invalid(f"one of {', '.join(sorted(allowed))} is expected", place=place)
    return value


def check_members(value: object, place: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Return the values as a tuple if they are allowed codes: at least one, sorted, none twice."""
    items = check_sequence(value, place, max_items=len(allowed), min_items=1)
    codes = tuple(check_member(item, place, allowed) for item in items)
    if list(codes) != sorted(set(codes)):
        raise Invalid("the codes must be sorted and none given twice", place=place)
    return codes


def check_sequence(value: object, place: str, *, max_items: int, min_items: int = 0) -> Sequence[object]:
    """Return the value if it is a list or tuple with a bounded number of items."""
    if not isinstance(value, (list, tuple)) or not min_items <= len(value) <= max_items:
        raise Invalid(f"a list of {min_items} to {max_items} items is expected", place=place)
    return value


def check_integer(value: object, place: str, *, low: int = 0, high: int = MAX_SAFE_INTEGER) -> int:
    """Return the value if it is an integer (not a boolean) within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Invalid(f"an integer from {low} to {high} is expected", place=place)
    return value


def check_text(value: object, place: str, *, max_characters: int) -> str:
    """Return the value if it is a text that is neither empty nor too long."""
    if not isinstance(value, str) or not 0 < len(value) <= max_characters:
        raise Invalid(f"a text of 1 to {max_characters} characters is expected", place=place)
    return value


def check_optional(value: object, place: str, check: Check) -> None:
    """Check the value unless it is None."""
    if value is not None:
        check(value, place)
