"""What the demo's hospitals stand on: a ledger, and how their nodes and witnesses are told of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from network.embedded.export import export
from network.embedded.founding import init
from network.witness.folder import WitnessIdentity
from yilian.contract_versions import CONTRACT
from yilian.ledger_commands import SystemClock

CHANNEL = "yilian"


class Ground(Protocol):
    """A ledger of the demo; a context that leaves no process behind."""

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def node_settings(self, msp_id: str) -> Mapping[str, str]:
        """The settings of a hospital's node that name the ledger, without their prefix."""

    def witness_options(self, msp_id: str) -> Sequence[str]:
        """The options of ``yilian witness run`` that name the ledger."""

    def export(self, folder: Path) -> int:
        """Export all blocks, as an auditor does; give their number."""


class EmbeddedGround:
    """An embedded ledger in a folder."""

    def __init__(self, folder: Path, members: Sequence[str]) -> None:
        self.folder = folder
        self._founding = init(folder, CHANNEL, members, clock=SystemClock(), random=os.urandom)

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""
        return self._founding.genesis

    @property
    def place(self) -> str:
        """Its folder."""
        return str(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing runs."""

    def node_settings(self, _msp_id: str) -> Mapping[str, str]:
        """Its folder."""
        return {"LEDGER_DIR": str(self.folder)}

    def witness_options(self, _msp_id: str) -> Sequence[str]:
        """Its folder."""
        return ["--ledger", str(self.folder)]

    def export(self, folder: Path) -> int:
        """Export all blocks."""
        return export(self.folder, folder)


def witness_identity(ground: Ground, msp_id: str) -> WitnessIdentity:
    """What a hospital's witness watches on this ground."""
    return WitnessIdentity(CHANNEL, CONTRACT, ground.genesis, msp_id)
