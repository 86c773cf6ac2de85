"""Comparing the committed with the replayed result, and running a contract over the verifier's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaincode import stub
from domain.errors import Invalid, Tampered
from network.blocks.lifecycle import NAMESPACE, ChaincodeDefinition, commit_definition, peers_policy
from network.blocks.proposal import ChaincodeEvent, Response, Simulation
from network.blocks.rwset import NamespaceRwset, RangeQuery, Read, Version, Write
from network.blocks.transaction import Transaction, parse_envelope, parse_transaction
from network.execution import Contract
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.replay import difference
from network.verifier.report import Rule
from tests.unit.network.blocks.hospital_channel import CHAINCODE, HospitalChannel

OWN = NamespaceRwset(
    CHAINCODE,
    reads=(Read("a", Version(1, 0)),),
    writes=(Write("a", b"1"), Write("b", None)),
    range_queries=(RangeQuery("a", "b", True, (Read("a", Version(1, 0)),)),),
)
EVENT = ChaincodeEvent("put", b"a")
ANSWER = Response(200, "", b"{}")
CHANNEL = HospitalChannel.new()


def _transaction(*rwsets: NamespaceRwset) -> Transaction:
    raw = CHANNEL.envelope(CHANNEL.propose([b"put", b"{}"]), Simulation(rwsets or (OWN,), ANSWER, EVENT))
    return parse_transaction(parse_envelope(raw))


def test_an_equal_result_in_another_order_has_no_difference() -> None:
    again = NamespaceRwset(CHAINCODE, OWN.reads, OWN.writes[::-1], OWN.range_queries)
    assert difference(_transaction(), Simulation((again,), ANSWER, EVENT)) == ""


def _replayed(**changes: Any) -> Simulation:
    return Simulation((replace(OWN, **changes),), ANSWER, EVENT)


DIFFERENT: dict[str, tuple[Simulation, str]] = {
    "another value": (_replayed(writes=(Write("a", b"2"), Write("b", None))), "write set"),
    "a write more": (_replayed(writes=(*OWN.writes, Write("c", b"1"))), "write set"),
    "nothing at all": (Simulation((), ANSWER, EVENT), "write set"),
    "a read that was left out": (_replayed(reads=(*OWN.reads, Read("z", None))), "read set"),
    "a range that was left out": (_replayed(range_queries=()), "range read"),
    "another event": (Simulation((OWN,), ANSWER, ChaincodeEvent("put", b"b")), "event"),
    "no event": (Simulation((OWN,), ANSWER), "event"),
    "another answer": (Simulation((OWN,), Response(200, "", b"[]"), EVENT), "response"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_difference_is_named(what: str) -> None:
    replayed, name = DIFFERENT[what]
    assert difference(_transaction(), replayed) == name


def test_a_write_in_another_namespace_is_a_difference() -> None:
    transaction = _transaction(OWN, NamespaceRwset("other", writes=(Write("x", b"1"),)))
    assert difference(transaction, Simulation((OWN,), ANSWER, EVENT)) == "namespace written"


def _counter(context: stub.Stub, name: str, arguments: bytes) -> stub.Response:
    """Counts the drawers of a kind: reads a range, writes one key, tells the caller's organisation."""
    if name == "History":
        list(context.get_history_for_key("x"))
    found = list(context.get_state_by_partial_composite_key("drawer", [arguments.decode()]))
    context.put_state(stub.create_composite_key("drawer", [arguments.decode(), context.tx_id]), b"%d" % len(found))
    context.set_event(name, context.creator.msp_id.encode() + context.timestamp.isoformat().encode())
    return stub.Response(200, "", b"%d" % len(found))


def _execute(channel: HospitalChannel, name: bytes, contract: Callable[..., stub.Response]) -> bytes:
    """Endorses what the contract gives on the channel's state now."""
    proposal = channel.propose([name, b"red"])
    unsigned = channel.envelope(proposal, Simulation((), Response(200)))
    transaction = parse_transaction(parse_envelope(unsigned))
    simulation = ContractReplayer(CHAINCODE, lambda _: contract)(transaction, 1, channel.state)
    assert simulation is not None
    return channel.envelope(proposal, simulation)


def test_a_contract_gives_the_same_again_over_the_verifiers_state() -> None:
    channel = HospitalChannel.new()
    for _ in range(3):
        channel.add([_execute(channel, b"Put", _counter)])
    sequences: list[int] = []

    def contract_for(sequence: int) -> Callable[..., stub.Response]:
        sequences.append(sequence)
        return _counter

    report = verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, contract_for))
    assert (report.replayed, sequences) == (3, [1, 1, 1])


def _stealing(context: stub.Stub, name: str, arguments: bytes) -> stub.Response:
    context.put_state("stolen", b"1")
    return _counter(context, name, arguments)


def test_endorsers_with_an_altered_contract_are_found_out() -> None:
    channel = HospitalChannel.new()
    channel.add([_execute(channel, b"Put", _stealing)])
    with pytest.raises(Tampered) as caught:
        verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, lambda _: _counter))
    assert (caught.value.reason, caught.value.place) == (Rule.CONTRACT, "block 2")


def test_a_transaction_that_the_contract_refuses_is_found_out() -> None:
    channel = HospitalChannel.new()
    channel.add([channel.write({"a": b"1"})])

    def refusing(_: stub.Stub, name: str, arguments: bytes) -> stub.Response:
        return stub.Response(400, f"no {name} {len(arguments)}")

    contracts: list[Contract] = [refusing, _counter]
    for contract in contracts:
        with pytest.raises(Tampered):
            verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, {1: contract}.get))


def test_a_transaction_that_depends_on_history_is_found_out() -> None:
    channel = HospitalChannel.new()
    channel.add([channel.envelope(channel.propose([b"History", b"red"]), Simulation((), Response(200)))])
    with pytest.raises(Tampered, match="history-read"):
        verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, lambda _: _counter))


def test_an_unknown_contract_is_no_tampering() -> None:
    channel = HospitalChannel.new()
    channel.add([_execute(channel, b"Put", _counter)])
    with pytest.raises(Invalid) as caught:
        verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, lambda _: None))
    assert caught.value.reason == "unknown-contract"


def test_another_chaincode_is_not_replayed() -> None:
    channel = HospitalChannel.new()
    channel.add([channel.write({"a": b"1"})])
    assert verify_chain(channel.blocks, replay=ContractReplayer("yilian", lambda _: _counter)).replayed == 0


def _define(channel: HospitalChannel, name: str) -> None:
    definition = ChaincodeDefinition(name, 1, "1", peers_policy(2, [item.msp_id for item in channel.hospitals]))
    args, rwset = commit_definition(definition, None)
    channel.add([channel.envelope(channel.propose(args, chaincode=NAMESPACE), Simulation((rwset,), Response(200)))])


@pytest.mark.parametrize("chaincode", ["helper", NAMESPACE])
def test_another_chaincode_that_writes_our_state_is_found_out(chaincode: str) -> None:
    """Colluding peers need not alter our contract: any chaincode's endorsement may cover writes in our namespace."""
    channel = HospitalChannel.new()
    _define(channel, "helper")
    forged = NamespaceRwset(CHAINCODE, writes=(Write("grant", b"forged"),))
    peers = [hospital.peer for hospital in channel.hospitals]
    proposal = channel.propose([b"x", b"{}"], chaincode=chaincode)
    channel.add([channel.envelope(proposal, Simulation((forged,), Response(200)), endorsers=peers)])
    assert verify_chain(channel.blocks).codes["VALID"] == 4
    with pytest.raises(Tampered) as caught:
        verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, lambda _: _counter))
    assert (caught.value.reason, caught.value.place) == (Rule.CONTRACT, "block 3")


def test_another_chaincode_may_read_our_state_and_write_its_own() -> None:
    channel = HospitalChannel.new()
    _define(channel, "helper")
    rwsets = (NamespaceRwset(CHAINCODE, reads=(Read("a", None),)), NamespaceRwset("helper", writes=(Write("a", b"1"),)))
    channel.add([channel.envelope(channel.propose([b"x"], chaincode="helper"), Simulation(rwsets, Response(200)))])
    report = verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, lambda _: _counter))
    assert report.height == 4
