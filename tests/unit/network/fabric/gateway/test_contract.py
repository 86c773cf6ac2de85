"""Evaluating and submitting: what goes to the peer, and what comes back as a result or an error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from network.blocks.proposal import Response
from network.blocks.protos import common, proposal
from network.fabric.gateway import (
    CommitError,
    CommitStatusError,
    Contract,
    EndorseError,
    GatewayError,
    Identity,
    Network,
    Signer,
    Sources,
    SubmitError,
    connect,
    plain_channel,
)
from network.fabric.gateway.protos import gateway as messages
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.scripted_peer import ScriptedPeer, prepare, read_proposal

NOW_NS = 1_795_000_000_123_456_789


def test_evaluate_sends_name_and_arguments_signed_and_returns_the_answer(
    contract: Contract, peer: ScriptedPeer
) -> None:
    assert contract.evaluate_transaction("Read", "drawer", b"\x00\xff") == b"Read|drawer|\x00\xff"
    request = peer.last("Evaluate")
    proposed, _ = read_proposal(request.proposed_transaction)
    assert (proposed.channel, proposed.chaincode, request.channel_id) == (CHANNEL, CHAINCODE, CHANNEL)
    assert proposed.tx_id == request.transaction_id
    assert not request.target_organizations


def test_submit_returns_the_answer_once_the_transaction_is_valid(contract: Contract, peer: ScriptedPeer) -> None:
    assert contract.submit_transaction("Put", "drawer") == b"Put|drawer"
    (envelope,) = peer.submitted
    status_request = messages.CommitStatusRequest.FromString(peer.last("CommitStatus").request)
    header = common.ChannelHeader.FromString(common.Payload.FromString(envelope.payload).header.channel_header)
    assert status_request.transaction_id == header.tx_id == peer.last("Submit").transaction_id


def test_a_contract_within_a_chaincode_prefixes_its_name(network: Network) -> None:
    assert network.get_contract(CHAINCODE, "Drawers").evaluate_transaction("Read") == b"Drawers:Read"


def test_transient_data_reaches_the_endorser_and_no_envelope(contract: Contract, peer: ScriptedPeer) -> None:
    contract.submit("Put", transient={"secret": b"in transit only"}, endorsing_organizations=["MingdeMSP", "RenheMSP"])
    request = peer.last("Endorse")
    proposed, _ = read_proposal(request.proposed_transaction)
    assert proposed.transient == {"secret": b"in transit only"}
    assert list(request.endorsing_organizations) == ["MingdeMSP", "RenheMSP"]
    assert b"in transit only" not in peer.submitted[0].payload


def test_evaluate_asks_the_named_organisations(contract: Contract, peer: ScriptedPeer) -> None:
    contract.evaluate("Read", endorsing_organizations=["MingdeMSP"])
    assert list(peer.last("Evaluate").target_organizations) == ["MingdeMSP"]


def test_an_empty_answer_is_a_result(contract: Contract, peer: ScriptedPeer) -> None:
    def empty(request: Any, context: grpc.ServicerContext) -> Any:
        answer = messages.EvaluateResponse()
        answer.result.status = 200
        return answer

    peer.answers["Evaluate"] = empty
    assert contract.evaluate_transaction("Read") == b""


@pytest.mark.parametrize("status", [0, 199, 400, 404, 500])
def test_a_refusal_passed_on_as_an_answer_is_no_result(contract: Contract, peer: ScriptedPeer, status: int) -> None:
    def refused(request: Any, context: grpc.ServicerContext) -> Any:
        answer = messages.EvaluateResponse()
        answer.result.status, answer.result.payload = status, b"no"
        return answer

    peer.answers["Evaluate"] = refused
    with pytest.raises(GatewayError, match=f"chaincode response {status}"):
        contract.evaluate_transaction("Read")
    peer.answers["Endorse"] = lambda request, context: messages.EndorseResponse(
        prepared_transaction=prepare(read_proposal(request.proposed_transaction)[0], Response(status, "", b"no"))
    )
    with pytest.raises(EndorseError, match=f"chaincode response {status}"):
        contract.submit_transaction("Put")
    assert peer.submitted == []


def test_a_code_other_than_valid_is_a_commit_error(contract: Contract, peer: ScriptedPeer) -> None:
    endorsed = contract.new_proposal("Put").endorse()
    peer.codes[endorsed.transaction_id] = 11
    status = endorsed.submit().status()
    assert (status.successful, status.code_name, status.block_number) == (False, "MVCC_READ_CONFLICT", 7)
    peer.answers["CommitStatus"] = lambda request, context: messages.CommitStatusResponse(result=10, block_number=8)
    with pytest.raises(CommitError, match="ENDORSEMENT_POLICY_FAILURE") as caught:
        contract.submit_transaction("Put")
    assert (caught.value.status.code, caught.value.status.block_number) == (10, 8)
    assert caught.value.transaction_id == peer.last("Submit").transaction_id
    assert caught.value.code is None


def test_a_code_that_is_not_known_is_no_success(contract: Contract, peer: ScriptedPeer) -> None:
    peer.answers["CommitStatus"] = lambda request, context: messages.CommitStatusResponse(result=77, block_number=8)
    with pytest.raises(CommitError, match="UNKNOWN_77"):
        contract.submit_transaction("Put")


def test_an_empty_commit_status_is_unknown_and_not_valid(contract: Contract, peer: ScriptedPeer) -> None:
    peer.answers["CommitStatus"] = lambda request, context: messages.CommitStatusResponse()
    with pytest.raises(CommitStatusError, match="names no block"):
        contract.submit_transaction("Put")


def test_a_peer_that_prepares_another_transaction_gets_no_signature(contract: Contract, peer: ScriptedPeer) -> None:
    other = contract.new_proposal("Pay", arguments=["everything"])
    other.sign()
    swapped, _ = read_proposal(messages.ProposedTransaction.FromString(other.serialize()).proposal)
    peer.answers["Endorse"] = lambda request, context: messages.EndorseResponse(
        prepared_transaction=prepare(swapped, Response(200))
    )
    with pytest.raises(EndorseError, match="another transaction than was proposed"):
        contract.submit_transaction("Put")
    assert peer.submitted == []


def test_a_peer_that_prepares_the_same_for_another_time_gets_no_signature(
    contract: Contract, peer: ScriptedPeer
) -> None:
    earlier = contract.new_proposal("Put")
    earlier.sign()
    replayed, _ = read_proposal(messages.ProposedTransaction.FromString(earlier.serialize()).proposal)
    peer.answers["Endorse"] = lambda request, context: messages.EndorseResponse(
        prepared_transaction=prepare(replayed, Response(200))
    )
    with pytest.raises(EndorseError, match="another transaction than was proposed"):
        contract.submit_transaction("Put")
    assert peer.submitted == []


def test_a_prepared_transaction_that_is_signed_already_is_refused(contract: Contract, peer: ScriptedPeer) -> None:
    def signed(request: Any, context: grpc.ServicerContext) -> Any:
        envelope = prepare(read_proposal(request.proposed_transaction)[0], Response(200))
        envelope.signature = b"somebody's"
        return messages.EndorseResponse(prepared_transaction=envelope)

    peer.answers["Endorse"] = signed
    with pytest.raises(EndorseError, match="another transaction than was proposed"):
        contract.submit_transaction("Put")
    assert peer.submitted == []


def test_a_peer_that_changes_the_arguments_gets_no_signature(contract: Contract, peer: ScriptedPeer) -> None:
    def changed(request: Any, context: grpc.ServicerContext) -> Any:
        proposed, _ = read_proposal(request.proposed_transaction)
        payload = proposal.ChaincodeProposalPayload.FromString(proposed.payload)
        payload.input = payload.input.replace(b"little", b"lots!!")
        object.__setattr__(proposed, "payload", payload.SerializeToString())
        return messages.EndorseResponse(prepared_transaction=prepare(proposed, Response(200)))

    peer.answers["Endorse"] = changed
    with pytest.raises(EndorseError, match="another transaction than was proposed"):
        contract.submit_transaction("Pay", "little")
    assert peer.submitted == []


@pytest.mark.parametrize("envelope", [common.Envelope(), common.Envelope(payload=b"\xff\xff")])
def test_a_prepared_transaction_that_is_none_is_an_endorse_error(
    contract: Contract, peer: ScriptedPeer, envelope: Any
) -> None:
    peer.answers["Endorse"] = lambda request, context: messages.EndorseResponse(prepared_transaction=envelope)
    with pytest.raises(EndorseError):
        contract.submit_transaction("Put")


def test_an_answer_that_is_no_message_is_an_error_of_its_stage(contract: Contract, peer: ScriptedPeer) -> None:
    peer.answers["Submit"] = lambda request, context: b"\xff\xff\xff"
    with pytest.raises(SubmitError) as caught:
        contract.submit_transaction("Put")
    assert caught.value.code is grpc.StatusCode.INTERNAL


def test_time_and_nonce_come_from_the_sources(peer: ScriptedPeer, identity: Identity, signer: Signer) -> None:
    sources = Sources(clock_ns=lambda: NOW_NS, random=lambda size: b"\x07" * size)
    with plain_channel(peer.address) as channel, connect(channel, identity, signer, sources=sources) as gateway:
        contract = gateway.get_network(CHANNEL).get_contract(CHAINCODE)
        contract.evaluate_transaction("Read")
        first, second = contract.new_proposal("Read"), contract.new_proposal("Read")
    proposed, _ = read_proposal(peer.last("Evaluate").proposed_transaction)
    assert proposed.timestamp_ns == NOW_NS
    assert common.SignatureHeader.FromString(proposed.signature_header).nonce == b"\x07" * 24
    assert first.serialize() == second.serialize()


def test_threads_share_a_gateway(contract: Contract) -> None:
    words = [f"word {number}" for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda word: contract.submit_transaction("Put", word), words))
    assert answers == [f"Put|{word}".encode() for word in words]


def test_every_proposal_has_an_id_of_its_own(contract: Contract) -> None:
    assert len({contract.new_proposal("Read").transaction_id for _ in range(50)}) == 50
