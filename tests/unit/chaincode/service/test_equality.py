"""One transaction gives the same over a peer's stream as over the embedded ledger's stub, and as the golden vectors."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chaincode.contract.v1 import invoke
from chaincode.service.message import Kind
from chaincode.stub import Creator, SimulationResult, StateValue, TransactionStub, Version
from domain.instants import moment
from network.blocks.proposal import Proposal
from tests.unit.chaincode import scenario, vectors
from tests.unit.chaincode.service.conftest import Serve, StandingClock
from tests.unit.chaincode.service.peer import LedgerPeer, Simulated, proposal
from tests.unit.chaincode.trace import State


def simulated(state: State, asked: Proposal, step: dict[str, Any]) -> SimulationResult:
    """The step on the embedded ledger's stub."""
    stub = TransactionStub(
        state,
        tx_id=asked.tx_id,
        timestamp=moment(step["at"]),
        channel=step["channel"],
        creator=Creator(step["caller"], {}, ("client",)),
    )
    return stub.result(invoke(stub, step["name"], base64.b64decode(step["arguments"])))


def check_equal(found: Simulated, expected: SimulationResult) -> None:
    assert found.response == (expected.response.status, expected.response.message, expected.response.payload)
    assert list(found.writes.items()) == [(write.key, write.value) for write in expected.writes]
    assert found.event == (None if expected.event is None else (expected.event.name, expected.event.payload))
    assert sorted(found.reads) == [read.key for read in expected.reads]
    assert [start for start, _ in found.ranges] == [item.start_key for item in expected.ranges]


@pytest.mark.parametrize("offered", [{}, {"use_write_batch": True, "max_size_write_batch": 2}])
def test_a_recorded_run_gives_the_same_over_both_stubs(
    serve: Serve, clock: StandingClock, offered: dict[str, Any]
) -> None:
    golden = json.loads((vectors.FOLDER / "invocations.json").read_bytes())
    assert len(golden) == len(scenario.trace())
    state, kinds = State(), set()
    with LedgerPeer(serve(invoke).address, state) as peer:
        peer.register(**offered)
        for number, step in enumerate(golden):
            arguments = base64.b64decode(step["arguments"])
            clock.at = moment(step["at"])
            asked = proposal(step["name"], arguments, at=step["at"], caller=step["caller"], channel=step["channel"])
            found, expected = peer.execute(asked), simulated(state, asked, step)
            check_equal(found, expected)
            assert [[key, (value or b"").decode()] for key, value in found.writes.items()] == step["writes"]
            assert [found.response[0], found.response[1], found.response[2].decode()] == step["response"]
            kinds.update(found.asked)
            for key, value in found.writes.items():
                assert value is not None
                state.values[key] = StateValue(value, Version(number, 0))
    assert (Kind.WRITE_BATCH_STATE in kinds) == bool(offered)
    assert {Kind.GET_STATE, Kind.GET_STATE_BY_RANGE, Kind.GET_HISTORY_FOR_KEY, Kind.QUERY_STATE_CLOSE} <= kinds
