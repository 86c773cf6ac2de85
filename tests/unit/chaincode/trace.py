"""A recorded run of the contract, and its replay by any interpreter: ``python -m tests.unit.chaincode.trace FILE``.

The replay prints, for every invocation, all that an endorser would sign. Only the contract and its stub are imported,
so that an environment with the contract's three dependencies is enough.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaincode.contract.v1 import invoke
from chaincode.stub import Creator, KeyModification, SimulationResult, StateValue, TransactionStub, Version
from domain.instants import moment


class State:
    """The state that a replay builds."""

    def __init__(self) -> None:
        self.values: dict[str, StateValue] = {}

    def get(self, key: str) -> StateValue | None:
        return self.values.get(key)

    def range(self, start: str, end: str) -> Iterator[tuple[str, StateValue]]:
        for key in sorted(self.values):
            if start <= key < end:
                yield key, self.values[key]

    def history(self, key: str) -> Iterator[KeyModification]:
        return iter(())


def entry(name: str, arguments: bytes, caller: str, at: str, channel: str) -> dict[str, str]:
    """One invocation of a trace."""
    encoded = base64.b64encode(arguments).decode()
    return {"name": name, "arguments": encoded, "caller": caller, "at": at, "channel": channel}


def replay(trace: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Run every invocation on what the ones before it wrote."""
    state, outcome = State(), []
    for number, step in enumerate(trace):
        stub = TransactionStub(
            state,
            tx_id=f"{number:064x}",
            timestamp=moment(step["at"]),
            channel=step["channel"],
            creator=Creator(step["caller"], {}, ("client",)),
        )
        result = stub.result(invoke(stub, step["name"], base64.b64decode(step["arguments"])))
        for write in result.writes:
            assert write.value is not None
            state.values[write.key] = StateValue(write.value, Version(number, 0))
        outcome.append(described(result))
    return outcome


def described(result: SimulationResult) -> dict[str, Any]:
    """All that an endorser signs, as JSON."""
    return {
        "reads": [[read.key, read.version] for read in result.reads],
        "ranges": [
            [item.start_key, item.end_key, item.exhausted, [r.key for r in item.reads]] for item in result.ranges
        ],
        "writes": [[write.key, (write.value or b"").decode()] for write in result.writes],
        "event": [result.event.name, result.event.payload.decode()] if result.event else None,
        "response": [result.response.status, result.response.message, result.response.payload.decode()],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(replay(json.loads(Path(sys.argv[1]).read_text())), ensure_ascii=True))
