"""The outcome of a policy question: values, never exceptions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permit:
    """Allowed, with what the one who releases has to do besides (none for grants and basic Consents)."""

    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """Refused; ``reason`` is a short stable word that names a rule and no person."""

    reason: str
