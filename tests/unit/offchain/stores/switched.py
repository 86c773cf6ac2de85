"""A local store that can be switched off, as if its disk were gone."""

from __future__ import annotations

from typing import Any

from domain.errors import Unavailable
from offchain.stores.local import LocalStore


class SwitchedStore(LocalStore):
    """Every call fails while ``is_down``."""

    is_down = False

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("is_down", "report") and object.__getattribute__(self, "is_down"):
            raise Unavailable("switched off", reason="disk")
        return object.__getattribute__(self, name)
