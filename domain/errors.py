"""One taxonomy of errors, by what the caller can do about them.

No error carries patient data or secrets: ``detail`` names rules, fields, places and random identifiers only.
"""

from __future__ import annotations


class YilianError(Exception):
    """Base of every error that the product raises on purpose.

    Attributes:
        detail: one sentence for a person, saying what is wrong and what to do.
        reason: a short stable word for programs, for example ``not-canonical``.
        place: where in the input, for example ``entry[3].resource.birthDate``; empty if nowhere in particular.
    """

    default_reason = "error"

    def __init__(self, detail: str, *, reason: str | None = None, place: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or self.default_reason
        self.place = place

    def __str__(self) -> str:
        return f"{self.detail} (at {self.place})" if self.place else self.detail


class Invalid(YilianError):
    """The input breaks a rule; correct it and call again."""

    default_reason = "invalid"


class Denied(YilianError):
    """The caller may not do this."""

    default_reason = "denied"


class NotFound(YilianError):
    """Nothing there that the caller may know about; denied and absent look the same from outside."""

    default_reason = "not-found"


class Conflict(YilianError):
    """The state contradicts the request, for example a used id with another value; read and decide anew."""

    default_reason = "conflict"


class Tampered(YilianError):
    """Bytes, signatures or proofs do not fit: stop and raise the alarm, never retry."""

    default_reason = "tampered"


class Unavailable(YilianError):
    """A resource is down or too slow; nothing happened; retry later."""

    default_reason = "unavailable"


class OutcomeUnknown(YilianError):
    """The transaction may or may not be in; ask for its status, never resubmit blindly."""

    default_reason = "outcome-unknown"

    def __init__(self, detail: str, *, tx_id: str, reason: str | None = None) -> None:
        super().__init__(detail, reason=reason)
        self.tx_id = tx_id
