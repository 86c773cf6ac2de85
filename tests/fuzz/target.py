"""What a fuzzing target is, and the claims that all of them share.

A target takes any bytes. It ends without an exception, or fails: the reader under it may refuse with an error of the
taxonomy (domain/errors.py), which names a place and a rule and never quotes its input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from domain.errors import Invalid, YilianError
from tests.cpu import frugal

Value = TypeVar("Value")
SECRET: Final = "Zyxqwv"
"""Stands in keys and values of the seeds; no message may repeat it."""

_QUOTED: Final = re.compile(rf"(?<![A-Za-z0-9]){SECRET}")
"""Not within a word: a place may hold what has the form of an element's name, such as ``valueZyxqwv``."""

MAX_CPU_S: Final = 2.0
"""Work on one input: processor time, since a clock also counts what other programs of the machine do meanwhile."""

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """One reader under attack.

    Attributes:
        name: as given on the command line.
        fuzz_one: takes any bytes.
        make_seeds: well-formed inputs to begin with.
        takes_json: whether mutations of JSON structure are worth while.
        max_bytes: of one input.
    """

    name: str
    fuzz_one: Callable[[bytes], None]
    make_seeds: Callable[[], Sequence[bytes]]
    takes_json: bool = field(default=True, kw_only=True)
    max_bytes: int = field(default=1 << 16, kw_only=True)

    def fuzz_in_time(self, data: bytes) -> None:
        """As ``fuzz_one``, and claim that it takes at most :data:`MAX_CPU_S`."""
        frugal(MAX_CPU_S, lambda: self.fuzz_one(data))

    def seeds(self) -> list[bytes]:
        """Seeds, and the inputs that were found to break this reader once (``corpus/<name>``)."""
        found = sorted((CORPUS / self.name).glob("*"))
        return [*self.make_seeds(), *(path.read_bytes() for path in found)]


def accepted(call: Callable[[], Value], *more: type[YilianError]) -> tuple[Value, ...]:
    """What the call returns, or nothing where it refuses; what follows must not fail.

    Args:
        more: errors besides ``Invalid`` by which it may refuse.
    """
    refusals: tuple[type[YilianError], ...] = (Invalid, *more)
    try:
        return (call(),)
    except refusals as error:
        check_silent(error)
        return ()


def check_silent(error: YilianError) -> None:
    """Claim that an error says nothing of the input."""
    said = f"{error.detail} {error.place} {error.reason} {error.args}"
    assert not _QUOTED.search(said), "a message quotes the input"
    assert said.isprintable(), "a message holds control characters"
    assert len(said) < 2000, "a message is as long as the input wants"


def as_json(value: object) -> bytes:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
