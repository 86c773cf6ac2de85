"""The contract's service under real peers: what the stub promises, many transactions at once, kills, bounds, time."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from network.fabric.connection import Connection
from network.fabric.gateway import (
    Contract,
    Deadlines,
    GatewayError,
    Identity,
    Sources,
    connect,
    private_key_signer,
    tls_channel,
)
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.fabric.exercises import CONTRACT, SECRET
from tests.fabric.networks import running_network

RENHE = "RenheMSP"
PATIENT = Deadlines(evaluate_s=60, endorse_s=60, submit_s=30)


@pytest.fixture(scope="module")
def network(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    with running_network(tmp_path_factory.mktemp("service"), binaries, contract=CONTRACT) as running:
        yield running


@contextmanager
def client(network: NativeNetwork, msp: str = RENHE, sources: Sources | None = None) -> Iterator[Client]:
    """A hospital's node as client of its own peer."""
    told = Connection.read(network.connection_file(msp))
    channel = tls_channel(told.own_peer.address, told.own_peer.tls_root.read_bytes())
    signer = private_key_signer(told.key.read_bytes())
    identity = Identity(msp, told.certificate.read_bytes())
    with channel, connect(channel, identity, signer, deadlines=PATIENT, sources=sources) as gateway:
        yield Client(gateway.get_network(told.channel).get_contract(told.contract), msp)


class Client:
    """Asks the own peer; submits with the endorsement of whom the policy wants."""

    def __init__(self, contract: Contract, msp: str) -> None:
        self.contract = contract
        self._own = (msp,)

    def ask(self, name: str, **given: Any) -> Any:
        return json.loads(self.contract.evaluate(name, arguments=[_encoded(given)], endorsing_organizations=self._own))

    def submit(self, name: str, **given: Any) -> Any:
        return json.loads(self.contract.submit(name, arguments=[_encoded(given)]))


def _encoded(given: dict[str, Any]) -> bytes:
    return json.dumps(given).encode()


def refused(call: Callable[[], object]) -> str:
    """What a peer told of a refusal."""
    with pytest.raises(GatewayError) as refusal:
        call()
    return str(refusal.value)


def clear(asked: Client) -> None:
    asked.submit("Delete", keys=asked.ask("List"))


def test_reads_see_what_was_committed_before_and_events_are_the_last_ones(network: NativeNetwork) -> None:
    with client(network) as renhe:
        renhe.submit("Put", own="committed")
        events = renhe_events(network)
        assert renhe.submit("ReadOwnWrite", key="own") == "committed"
        assert renhe.ask("Get", key="own") == "own"
        assert next(events) == ("last", b"own")
        renhe.submit("Delete", keys=["own"])
        assert renhe.ask("Get", key="own") is None


def renhe_events(network: NativeNetwork) -> Iterator[tuple[str, bytes]]:
    told = Connection.read(network.connection_file(RENHE))
    with tls_channel(told.own_peer.address, told.own_peer.tls_root.read_bytes()) as channel:
        identity, signer = Identity(RENHE, told.certificate.read_bytes()), private_key_signer(told.key.read_bytes())
        with connect(channel, identity, signer) as gateway:
            for event in gateway.get_network(told.channel).chaincode_events(told.contract, start_block=0, idle_s=20):
                yield event.name, event.payload


def test_ranges_pages_and_histories_are_whole_and_in_order(network: NativeNetwork) -> None:
    names = [f"{number:04}" for number in range(250)]
    with client(network) as renhe:
        clear(renhe)
        renhe.submit("Put", **dict.fromkeys(names, "1"))
        assert renhe.ask("List") == names
        pages: list[list[str]] = []
        bookmark = ""
        while not pages or bookmark:
            page, bookmark = renhe.ask("Page", size=99, bookmark=bookmark)
            pages.append(page)
        assert (pages[0] + pages[1] + pages[2], [len(page) for page in pages]) == (names, [99, 99, 52])
        assert "paged-query" in refused(lambda: renhe.submit("PageAndWrite", other="1"))
        renhe.submit("Put", history="first")
        renhe.submit("Delete", keys=["history"])
        renhe.submit("Put", history="last")
        assert [value for _, _, value in renhe.ask("History", key="history", most=1000)] == ["last", None, "first"]
        assert [value for _, _, value in renhe.ask("History", key="history", most=1)] == ["last"]
        clear(renhe)


def test_a_long_history_is_fetched_in_parts(network: NativeNetwork) -> None:
    with client(network) as renhe, ThreadPoolExecutor(35) as pool:
        list(pool.map(lambda number: renhe.submit("Put", often=str(number)), range(105)))
        past = [value for _, _, value in renhe.ask("History", key="often", most=1000)]
        assert past[0] == renhe.ask("Get", key="often")
    assert sorted(past, key=int) == [str(number) for number in range(105)]


def test_creator_time_and_transient_data_are_those_of_the_proposal(network: NativeNetwork) -> None:
    at = time.time_ns() - 10**9
    with client(network, "MingdeMSP", Sources(clock_ns=lambda: at)) as mingde:
        proposal = mingde.contract.new_proposal("Who", arguments=[b"{}"], endorsing_organizations=["MingdeMSP"])
        channel, tx_id, told_at, msp, units = json.loads(proposal.evaluate())
        assert (channel, tx_id, msp) == (network.topology.channel, proposal.transaction_id, "MingdeMSP")
        assert "client" in units
        assert told_at.startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)))
        told = mingde.contract.evaluate(
            "Transient", arguments=[b"{}"], transient={"secret": b"\0\1"}, endorsing_organizations=["MingdeMSP"]
        )
        assert json.loads(told) == {"secret": "0001"}


def test_a_hundred_transactions_at_once_are_all_committed(network: NativeNetwork) -> None:
    with client(network) as renhe, ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda number: renhe.submit("Put", **{f"at once {number}": str(number)}), range(100)))
        for msp in ("MingdeMSP", "AnkangMSP"):
            with client(network, msp) as other:
                found = list(pool.map(lambda number: _eventually(other, f"at once {number}"), range(100)))
                assert found == [str(number) for number in range(100)]
        clear(renhe)


def _eventually(asked: Client, key: str) -> Any:
    """Another hospital's peer has the block a moment later."""
    deadline = time.monotonic() + 10
    while (value := asked.ask("Get", key=key)) is None and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    return value


def test_a_value_of_20_mb_is_refused_by_our_own_bound(network: NativeNetwork) -> None:
    with client(network) as renhe:
        told = refused(lambda: renhe.submit("PutSize", bytes=20 << 20))
        renhe.submit("PutSize", bytes=1 << 20)
    assert "too-large" in told
    assert "400" in told


def test_arguments_larger_than_grpc_takes_by_default_reach_the_contract(network: NativeNetwork) -> None:
    with client(network) as renhe:
        assert renhe.ask("Get", key="nothing", padding="x" * (5 << 20)) is None


@pytest.mark.parametrize("away", [-61, 61])
def test_a_proposal_over_a_minute_away_is_refused_also_as_a_query(network: NativeNetwork, away: int) -> None:
    sources = Sources(clock_ns=lambda: time.time_ns() + away * 10**9)
    with client(network, sources=sources) as renhe:
        for told in (refused(lambda: renhe.submit("Put", a="1")), refused(lambda: renhe.ask("Get", key="a"))):
            assert "time-window" in told or "incorrect timestamp" in told  # peers of 2.5.10 and later look first


def test_an_error_of_the_contract_tells_nobody_what_it_was(network: NativeNetwork) -> None:
    with client(network) as renhe:
        told = refused(lambda: renhe.submit("Fail", secret=SECRET))
        missing = refused(lambda: renhe.ask(SECRET, key=SECRET))
    assert "500" in told
    assert "contract-failed" in told + missing
    assert SECRET not in told + missing
    for name in ("contract-renhe", "contract-mingde", "contract-ankang"):
        assert SECRET not in network.layout.log(name).read_text()
    assert "ValueError" in network.layout.log("contract-renhe").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_peer_finds_its_contract_again_after_it_was_started_anew(
    network: NativeNetwork, number: signal.Signals
) -> None:
    with client(network) as renhe:
        assert renhe.ask("Get", key="nothing") is None
        network.kill("contract-renhe", number)
        _wait_for(lambda: not network.running("contract-renhe"))
        refused(lambda: renhe.ask("Get", key="nothing"))
        network.start("contract-renhe")
        assert renhe.ask("Get", key="nothing") is None


def test_a_contract_killed_amid_a_transaction_fails_it_at_once_and_nothing_else(network: NativeNetwork) -> None:
    with client(network) as renhe, ThreadPoolExecutor(2) as pool:
        running = pool.submit(refused, lambda: renhe.ask("Get", key="nothing", after_s=20))
        threading.Event().wait(0.5)
        begun = time.monotonic()
        network.kill("contract-renhe")
        running.result(timeout=10)
        assert time.monotonic() - begun < 10
        with client(network, "MingdeMSP") as mingde:
            mingde.contract.submit(
                "Put", arguments=[b'{"during":"1"}'], endorsing_organizations=["MingdeMSP", "AnkangMSP"]
            )
        network.start("contract-renhe")
        renhe.submit("Put", after="1")
        assert _eventually(renhe, "during") == "1"


def test_a_contract_told_to_stop_finishes_what_runs(network: NativeNetwork) -> None:
    with client(network) as renhe, ThreadPoolExecutor(2) as pool:
        renhe.submit("Put", kept="1")
        running = pool.submit(renhe.ask, "Get", key="kept", after_s=2)
        threading.Event().wait(0.5)
        network.kill("contract-renhe", signal.SIGTERM)
        assert running.result(timeout=10) == "1"
        _wait_for(lambda: not network.running("contract-renhe"))
        network.start("contract-renhe")
        assert renhe.ask("Get", key="kept") == "1"


def _wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        threading.Event().wait(0.05)
