"""What one member can have ordered alone: peers agree on it, and it must stop no verifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chaincode.stub import Response as Answer
from chaincode.stub import Stub
from domain.errors import Tampered
from domain.validity import BEFORE_GENESIS, validity_after
from network.blocks.codes import ValidationCode
from network.blocks.lifecycle import NAMESPACE
from network.blocks.proposal import (
    Response,
    Simulation,
    build_response_payload,
    build_signature_header,
    build_transaction,
    endorse,
    proposal_hash,
    sign_envelope,
)
from network.blocks.protos import (
    common,
    identities,
    kvrwset,
    parse_into,
    proposal,
    proposal_response,
    rwset,
    serialize,
    transaction,
)
from network.blocks.signature import EcdsaSigner
from network.verifier.block_reader import BlockReader
from network.verifier.chain import ChainVerifier, verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.position import Position
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, HospitalChannel


@pytest.fixture
def channel() -> HospitalChannel:
    channel = HospitalChannel.new()
    channel.add([channel.write({"a": b"1"})])
    return channel


def read(channel: HospitalChannel) -> list[list[str]]:
    """The codes of the contract's transactions, block by block, as a node learns them."""
    reader = BlockReader(CHANNEL, CHAINCODE, channel.genesis_hash)
    position: Position | None = None
    codes = []
    for raw in channel.blocks:
        block, position = reader.read(raw, position)
        codes.append([item.code for item in block.transactions])
    return codes


def validity(channel: HospitalChannel) -> tuple[bytes, bytes]:
    """Which transactions are valid, as a node keeps it and as a witness tells it."""
    reader = BlockReader(CHANNEL, CHAINCODE, channel.genesis_hash)
    position: Position | None = None
    verifier, told, kept = ChainVerifier(), BEFORE_GENESIS, BEFORE_GENESIS
    for raw in channel.blocks:
        block, position = reader.read(raw, position)
        kept = validity_after(kept, block.header_hash, block.valid)
        told = verifier.add(raw).validity
    return kept, told


@pytest.mark.parametrize(
    "code", [ValidationCode.INVALID_OTHER_REASON, ValidationCode.BAD_RWSET, ValidationCode.INVALID_CHAINCODE]
)
def test_why_a_transaction_is_invalid_is_each_peers_word(channel: HospitalChannel, code: ValidationCode) -> None:
    """Fabric asks the namespaces of a transaction in random order: two peers may give two reasons for one refusal."""
    alone = channel.write({"b": b"1"}, endorsers=[channel.hospitals[2].peer])
    channel.add([alone], [code])
    channel.add([channel.write({"c": b"1"})])
    assert read(channel)[-2:] == [[code.name], ["VALID"]]
    kept, told = validity(channel)
    assert kept == told
    verified = verify_chain(channel.blocks)
    assert verified.codes["ENDORSEMENT_POLICY_FAILURE"] == 1


def test_an_invalid_transaction_called_valid_is_refused_by_both(channel: HospitalChannel) -> None:
    channel.add([channel.write({"b": b"1"}, endorsers=[channel.hospitals[2].peer])], [ValidationCode.VALID])
    for verify in (read, lambda made: verify_chain(made.blocks)):
        with pytest.raises(Tampered):
            verify(channel)


def test_a_valid_transaction_called_invalid_is_refused_by_both(channel: HospitalChannel) -> None:
    channel.add([channel.write({"b": b"1"})], [ValidationCode.BAD_RWSET])
    for verify in (read, lambda made: verify_chain(made.blocks)):
        with pytest.raises(Tampered):
            verify(channel)


VALUE = kvrwset.HashedRWSet(hashed_writes=[kvrwset.KVWriteHash(key_hash=b"k" * 32, value_hash=b"v" * 32)])
OWN_POLICY = kvrwset.HashedRWSet(
    metadata_writes=[
        kvrwset.KVMetadataWriteHash(
            key_hash=b"k" * 32, entries=[kvrwset.KVMetadataEntry(name="VALIDATION_PARAMETER", value=b"anyone")]
        )
    ]
)


def private(
    channel: HospitalChannel,
    chaincode: str = CHAINCODE,
    namespaces: Sequence[str] = (CHAINCODE,),
    args: Sequence[bytes] = (b"one",),
    *,
    hashed: Any = VALUE,
    by: int = 2,
    other_header: bool = False,
) -> bytes:
    """A transaction that writes the last hospital's own collection in some namespaces; one hospital alone endorses it.

    Fabric has such a collection for every member of every contract and asks that member only.
    """
    hospital = channel.hospitals[by]
    proposed = channel.propose(args, chaincode=chaincode, creator=hospital.client)
    payload: Any = proposal_response.ProposalResponsePayload()
    parse_into(payload, build_response_payload(proposed, Simulation((), Response(200)), version="1"), "payload")
    action: Any = parse_into(proposal.ChaincodeAction(), payload.extension, "action")
    written: Any = rwset.TxReadWriteSet()
    for namespace in namespaces:
        one = written.ns_rwset.add(namespace=namespace)
        one.collection_hashed_rwset.add(
            collection_name=f"_implicit_org_{channel.hospitals[2].msp_id}", hashed_rwset=serialize(hashed)
        )
    action.results = serialize(written)
    payload.extension = serialize(action)
    header = proposed.signature_header
    if other_header:
        header = build_signature_header(channel.hospitals[0].client.identity, b"n" * 24)
        payload.proposal_hash = proposal_hash(proposed.channel_header, header, proposed.payload)
    response = serialize(payload)
    built = build_transaction(proposed, response, [endorse(response, hospital.peer)])
    envelope: Any = parse_into(common.Payload(), built, "Payload")
    inner: Any = parse_into(transaction.Transaction(), envelope.data, "Transaction")
    inner.actions[0].header = header
    envelope.data = serialize(inner)
    return sign_envelope(serialize(envelope), hospital.client)


@pytest.mark.parametrize("args", [[b"Anchor", b"{}"], [b"one"], [b"a", b"b", b"c"]])
@pytest.mark.parametrize(
    ("chaincode", "namespaces"), [(CHAINCODE, [CHAINCODE]), (NAMESPACE, [NAMESPACE, CHAINCODE])], ids=["own", "foreign"]
)
def test_what_a_member_writes_into_its_own_collection_is_no_transaction_of_the_contract(
    channel: HospitalChannel, chaincode: str, namespaces: list[str], args: list[bytes]
) -> None:
    before = len(channel.blocks)
    channel.add([private(channel, chaincode, namespaces, args)])
    assert read(channel)[before:] == [[]]
    verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, {1: _contract}.get))


def test_the_header_of_its_action_is_not_compared_with_the_envelopes(channel: HospitalChannel) -> None:
    channel.add([private(channel, CHAINCODE, [CHAINCODE], [b"x", b"y"], other_header=True)])
    assert read(channel)[-1] == []
    verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, {1: _contract}.get))


def test_a_certificate_under_another_label_is_read_as_peers_read_it(channel: HospitalChannel) -> None:
    peers = [hospital.peer for hospital in channel.hospitals[:2]]
    labelled = serialize(
        identities.SerializedIdentity(
            mspid=channel.hospitals[1].msp_id,
            id_bytes=parse_into(identities.SerializedIdentity(), peers[1].identity, "identity").id_bytes.replace(
                b"CERTIFICATE", b"ANYTHING"
            ),
        )
    )
    other = EcdsaSigner(labelled, peers[1]._key)
    channel.add([channel.write({"b": b"1"}, endorsers=[peers[0], other])])
    assert read(channel)[-1] == ["VALID"]
    assert verify_chain(channel.blocks).codes == {"VALID": len(channel.blocks)}


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("has_value", [False, True])
def test_a_policy_for_a_key_of_a_members_own_collection_stops_nobody(
    channel: HospitalChannel, *, has_value: bool, rounds: int
) -> None:
    if has_value:
        channel.add([private(channel)])
    before = len(channel.blocks)
    for _ in range(rounds):
        channel.add([private(channel, hashed=OWN_POLICY), channel.write({"a": b"1"})])
    channel.add([channel.write({"a": b"1"})])
    assert read(channel)[before:] == [["VALID"]] * (rounds + 1)
    verified = verify_chain(channel.blocks, replay=ContractReplayer(CHAINCODE, {1: _contract}.get))
    assert verified.codes == {"VALID": verified.transactions}


def test_whether_a_private_keys_own_policy_is_fulfilled_is_the_peers_word(channel: HospitalChannel) -> None:
    """The key's policy may let another hospital write it, or keep its owner from it."""
    channel.add([private(channel), private(channel, hashed=OWN_POLICY)])
    before = len(channel.blocks)
    channel.add(
        [private(channel, by=0), private(channel)], [ValidationCode.VALID, ValidationCode.ENDORSEMENT_POLICY_FAILURE]
    )
    channel.add([channel.write({"a": b"1"})])
    read(channel)
    verified = verify_chain(channel.blocks)
    assert verified.codes["ENDORSEMENT_POLICY_FAILURE"] == 1
    assert read(channel)[before + 1 :] == [["VALID"]]


def test_the_commit_hash_over_a_renewed_private_value_is_checked_by_whoever_has_the_state(
    channel: HospitalChannel,
) -> None:
    """To a node, which has none, it is its peer's word."""
    channel.add([private(channel)])
    channel.commit_hash = b"false" + bytes(27)
    channel.add([private(channel, hashed=OWN_POLICY)])
    assert read(channel)[-1:] == [[]]
    with pytest.raises(Tampered) as caught:
        verify_chain(channel.blocks)
    assert caught.value.reason == "commit-hash"


def test_a_public_write_beside_a_private_policy_needs_the_contracts_endorsement(channel: HospitalChannel) -> None:
    alone = channel.write({"b": b"1"}, endorsers=[channel.hospitals[2].peer])
    channel.add([private(channel, hashed=OWN_POLICY), alone], [ValidationCode.VALID, ValidationCode.VALID])
    for verify in (read, lambda made: verify_chain(made.blocks)):
        with pytest.raises(Tampered):
            verify(channel)


def _contract(stub: Stub, name: str, arguments: bytes, /) -> Answer:
    """What the fixture's transaction did."""
    assert name == "put"
    stub.put_state("a", b"1")
    return Answer(200)
