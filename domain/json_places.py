"""Where a JSON text breaks a rule that the parser finds without its place; walked only once something is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Final

_LEXEME: Final = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[\[\]{},:]|[^\s\[\]{},:"]++')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONSTANTS: Final = ("NaN", "Infinity", "-Infinity")
_MAX_INTEGER_DIGITS: Final = 4300
_Lexemes = Iterator[re.Match[str]]
_Find = Callable[[_Lexemes], int | None]


def line_and_column(text: str, at: int) -> str:
    """An offset as people count, from 1."""
    return f"line {text.count(chr(10), 0, at) + 1} column {at - text.rfind(chr(10), 0, at)}"


def place_of(reason: str, text: str, start: int = 0, *, max_depth: int = 0) -> str:
    """Line and column of the first lexeme from ``start`` on that breaks the rule; empty if none does."""
    finders: dict[str, _Find] = {
        "duplicate-key": _second_key,
        "not-json": _no_number,
        "lone-surrogate": _half_pair,
        "too-deep": lambda lexemes: _too_deep(lexemes, max_depth),
    }
    find = finders.get(reason)
    found = None if find is None else find(_LEXEME.finditer(text, start))
    return "" if found is None else line_and_column(text, found)


def _second_key(lexemes: _Lexemes) -> int | None:
    seen: list[set[str]] = []
    last = None
    for match in lexemes:
        if match[0] in "[{":
            seen.append(set())
        elif match[0] in "]}" and seen:
            seen.pop()
        elif match[0] == ":" and last is not None and seen and len(last[0]) > 1 and last[0][0] == '"':
            key = _decoded(last[0])
            if key in seen[-1]:
                return last.start()
            seen[-1].add(key)
        last = match
    return None


def _no_number(lexemes: _Lexemes) -> int | None:
    return next((match.start() for match in lexemes if match[0] in _CONSTANTS or _is_beyond(match[0])), None)


def _is_beyond(lexeme: str) -> bool:
    if lexeme[0] not in "-0123456789":
        return False
    try:
        return len(lexeme) > _MAX_INTEGER_DIGITS or not math.isfinite(float(lexeme))
    except ValueError:
        return False


def _half_pair(lexemes: _Lexemes) -> int | None:
    return next((match.start() for match in lexemes if "\\u" in match[0] and _is_half(match[0])), None)


def _is_half(lexeme: str) -> bool:
    return _SURROGATE.search(_decoded(lexeme)) is not None


def _too_deep(lexemes: _Lexemes, max_depth: int) -> int | None:
    depth = 0
    for match in lexemes:
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > max_depth:
            return match.start()
    return None


def _decoded(lexeme: str) -> str:
    try:
        return str(json.loads(lexeme))
    except ValueError:
        return lexeme
