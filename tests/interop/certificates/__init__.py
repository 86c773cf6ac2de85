"""Certificates of every kind, to be judged by Fabric's own code and by ours; a seed gives the same one each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

from tests.interop.certificates import configurations, extended, holders, issuers, mutated, revocations, signed
from tests.interop.certificates.forms import MESSAGE, MSP, Case

LISTED: Final[tuple[Callable[[], Iterator[Case]], ...]] = (
    holders.ordinary, holders.serials, holders.versions, holders.units, holders.names, holders.validity,
    extended.extensions, issuers.authorities, issuers.constraints, signed.keys, signed.signatures,
    signed.rsa_integers, revocations.revocations, revocations.rsa_authority,
    configurations.configurations, configurations.forms_of_pem,
)  # fmt: skip
DRAWN: Final = (mutated.flipped, mutated.flipped, mutated.reshaped, mutated.reshaped, mutated.rsa, revocations.changed)


def listed() -> Iterator[Case]:
    """All cases that are listed."""
    for made in LISTED:
        for item in made():
            yield replace(item, kind=f"{made.__name__}: {item.kind}")


def drawn(seed: int) -> Case:
    """The case of a seed."""
    chance = Random(seed)  # noqa: S311 - repeatable on purpose
    case = chance.choice(DRAWN)(chance)
    return replace(case, kind=f"seed {seed}: {case.kind}")


__all__ = ["MESSAGE", "MSP", "Case", "drawn", "listed"]
