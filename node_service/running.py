"""A node that was composed: its background work begins and ends with it, and all its resources are closed."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self

from fastapi import FastAPI

from node_service.api.condition import Condition
from node_service.background import Worker
from node_service.client.exchange_client import ExchangeClient
from node_service.client.witness_client import Questions
from node_service.context import Node
from node_service.custody_steps import enter_start
from node_service.database.engine import Listener
from node_service.leading import Leading

STOP_TIMEOUT_S: Final = 5.0


class Ending(Protocol):
    """Something that works in threads of its own."""

    def ask_to_stop(self) -> None:
        """Let it end."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; false if it is still at work."""


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node with its background work and its application. Background work runs between :meth:`start` and :meth:`stop`.

    ``app`` starts and stops it too, with the server that serves it.
    """

    node: Node
    app: FastAPI
    condition: Condition
    exchange: ExchangeClient = field(repr=False)
    questions: Questions = field(repr=False)
    leading: Leading = field(repr=False)
    measuring: Worker = field(repr=False)
    listener: Listener | None = field(repr=False)
    resources: ExitStack = field(repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the background work; custody logs that a process of the node began."""
        enter_start(self.node)
        self.measuring.start()
        self.leading.start()
        if self.listener is not None:
            self.listener.start()

    def stop(self) -> bool:
        """End the background work and close everything, within five seconds; false if something was still at work."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        working: list[Ending] = [self.measuring, self.leading]
        if self.listener is not None:
            working.append(self.listener)
        for one in working:
            one.ask_to_stop()
        ended = [one.join(max(0.0, deadline - time.monotonic())) for one in working]
        if all(ended):
            self.resources.close()
        return all(ended)
