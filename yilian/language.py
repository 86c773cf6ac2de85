"""The language of the command line: Chinese or English, by ``--lang``, ``YILIAN_LANG`` or the locale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

Language = Literal["en", "zh"]
Text = Callable[[str, str], str]
"""Chooses between an English and a Chinese wording: ``t("Revoked", "已撤销")``."""

OPTION: Final = "--lang"
VARIABLES: Final = ("YILIAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language asked for: the option wins over the variables, the first variable that is set over later ones."""
    for position, argument in enumerate(arguments):
        if argument == OPTION and position + 1 < len(arguments):
            return _named(arguments[position + 1])
        if argument.startswith(OPTION + "="):
            return _named(argument.removeprefix(OPTION + "="))
    named = next((environment[name] for name in VARIABLES if environment.get(name)), "en")
    return _named(named)


def text(language: Language) -> Text:
    """The function that picks the wording of a language."""
    return (lambda _english, chinese: chinese) if language == "zh" else (lambda english, _chinese: english)


def _named(name: str) -> Language:
    return "zh" if name.lower().startswith("zh") else "en"
