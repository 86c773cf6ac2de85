"""Life cycles of what stands on the ledger, as tables of (state, event) → state; a pair that is absent is forbidden.

``absent`` is the state of a key that nobody wrote. Conditions on values (a later lock, a lock that has passed) are
rules of the contract; what the tables forbid, no value allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domain.errors import Conflict

ABSENT: Final = "absent"

LifeCycle = Mapping[tuple[str, str], str]

REGISTRATION: Final[LifeCycle] = MappingProxyType(
    {
        (ABSENT, "enrol"): "active",
        ("active", "rotate"): "active",
        ("active", "close"): "closed",
    }
)
GRANT: Final[LifeCycle] = MappingProxyType(
    {
        (ABSENT, "authorize"): "active",
        (ABSENT, "revoke"): "tombstone",
        ("active", "revoke"): "revoked",
        ("revoked", "revoke"): "revoked",
        ("tombstone", "revoke"): "tombstone",
    }
)
DISSENT: Final[LifeCycle] = MappingProxyType(
    {
        (ABSENT, "dissent"): "active",
        (ABSENT, "withdraw"): "tombstone",
        ("active", "withdraw"): "withdrawn",
        ("withdrawn", "withdraw"): "withdrawn",
        ("tombstone", "withdraw"): "tombstone",
    }
)
RECORD: Final[LifeCycle] = MappingProxyType(
    {
        ("active", "retract"): "retracted",
        ("active", "lock"): "locked",
        ("active", "erase"): "erased",
        ("locked", "lock"): "locked",
        ("locked", "retract"): "retracted",
        ("locked", "erase"): "erased",
        ("retracted", "erase"): "erased",
    }
)
"""A record without a status key is ``active``."""


def after(cycle: LifeCycle, state: str, event: str) -> str:
    """The state that follows.

    Raises:
        Conflict: the pair is forbidden; the reason is the present state.
    """
    following = cycle.get((state, event))
    if following is None:
        raise Conflict(f"what is {state} does not allow: {event}", reason=state)
    return following
