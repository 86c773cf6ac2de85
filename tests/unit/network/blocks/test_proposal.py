"""What the builders make, the readers find again."""

from __future__ import annotations

import hashlib

import pytest

from domain.errors import Invalid
from network.blocks.block import build_block, parse_block
from network.blocks.identity import parse_identity
from network.blocks.proposal import (
    ChaincodeEvent,
    Response,
    Simulation,
    build_response_payload,
    build_transaction,
    endorse,
    propose,
    sign_envelope,
    sign_proposal,
)
from network.blocks.protos import common, parse_into
from network.blocks.protos import proposal as messages
from network.blocks.rwset import (
    MerkleSummary,
    NamespaceRwset,
    RangeQuery,
    Read,
    Version,
    Write,
    parse_rwsets,
    serialize_rwsets,
)
from network.blocks.signature import verify_signature
from network.blocks.transaction import parse_envelope, parse_transaction
from tests.unit.network.blocks.hospital_channel import CHANNEL, NOW_NS, Hospital

HOSPITAL = Hospital.new("HospMSP")
RWSETS = (
    NamespaceRwset(
        "yilian",
        reads=(Read("absent", None), Read("first", Version(0, 0)), Read("key", Version(7, 3))),
        writes=(Write("deleted", None), Write("key", b"value")),
        range_queries=(
            RangeQuery("a", "z", True, (Read("b", Version(1, 0)),)),
            RangeQuery("a", "b", False, ()),
            RangeQuery("", "", True, (), MerkleSummary(50, 2, (bytes(32), bytes(32)))),
        ),
    ),
    NamespaceRwset("other", reads=(Read("x", None),)),
)


def test_a_transaction_holds_what_was_proposed_executed_and_endorsed() -> None:
    proposal = propose(
        channel=CHANNEL,
        chaincode="yilian",
        args=[b"Anchor", b"{}"],
        creator=HOSPITAL.client.identity,
        nonce=bytes(24),
        timestamp_ns=NOW_NS + 5,
        transient={"secret": b"value"},
    )
    event = ChaincodeEvent("Anchored", b"payload")
    simulation = Simulation(RWSETS, Response(200, "fine", b"answer"), event)
    payload = build_response_payload(proposal, simulation, version="1.0")
    endorsement = endorse(payload, HOSPITAL.peer)
    raw = sign_envelope(build_transaction(proposal, payload, [endorsement]), HOSPITAL.client)
    envelope = parse_envelope(raw)
    transaction = parse_transaction(envelope)
    assert (envelope.type_name, envelope.channel, envelope.tx_id) == ("ENDORSER_TRANSACTION", CHANNEL, proposal.tx_id)
    assert (envelope.creator, envelope.nonce, envelope.timestamp_ns) == (
        HOSPITAL.client.identity,
        bytes(24),
        NOW_NS + 5,
    )
    assert (transaction.chaincode, transaction.version) == ("yilian", "1.0")
    assert transaction.args == (b"Anchor", b"{}")
    assert transaction.response == simulation.response
    assert transaction.event == event
    assert transaction.rwsets == RWSETS
    assert transaction.endorsements == (endorsement,)
    assert b"secret" not in raw
    peer, client = parse_identity(HOSPITAL.peer.identity), parse_identity(HOSPITAL.client.identity)
    verify_signature(peer.public_key, endorsement.signature, payload + HOSPITAL.peer.identity)
    verify_signature(client.public_key, envelope.signature, envelope.payload)


def test_the_id_is_the_hash_of_nonce_and_creator() -> None:
    proposal = propose(
        channel=CHANNEL, chaincode="c", args=[], creator=b"creator", nonce=b"n" * 24, timestamp_ns=NOW_NS
    )
    assert proposal.tx_id == hashlib.sha256(b"n" * 24 + b"creator").hexdigest()


def test_a_signed_proposal_carries_transient_data_outside_the_proposal_hash() -> None:
    def make(transient: dict[str, bytes]) -> tuple[bytes, bytes]:
        proposal = propose(
            channel=CHANNEL,
            chaincode="c",
            args=[b"f"],
            creator=HOSPITAL.client.identity,
            nonce=bytes(24),
            timestamp_ns=NOW_NS,
            transient=transient,
        )
        return proposal.hash(), sign_proposal(proposal, HOSPITAL.client)

    plain, with_secret = make({}), make({"key": b"secret"})
    assert plain[0] == with_secret[0]
    signed = parse_into(messages.SignedProposal(), with_secret[1], "SignedProposal")
    inner = parse_into(messages.Proposal(), signed.proposal_bytes, "Proposal")
    payload = parse_into(messages.ChaincodeProposalPayload(), inner.payload, "ChaincodeProposalPayload")
    assert dict(payload.TransientMap) == {"key": b"secret"}
    client = parse_identity(HOSPITAL.client.identity)
    verify_signature(client.public_key, signed.signature, signed.proposal_bytes)


@pytest.mark.parametrize("size", [0, 23, 25])
def test_a_nonce_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(Invalid):
        propose(channel="c", chaincode="c", args=[], creator=b"", nonce=bytes(size), timestamp_ns=0)


def test_an_empty_value_is_no_write() -> None:
    with pytest.raises(Invalid):
        Write("key", b"")


def test_read_write_sets_survive_the_round_trip() -> None:
    assert parse_rwsets(serialize_rwsets(RWSETS)) == RWSETS
    assert parse_rwsets(b"") == ()


def test_a_block_holds_what_was_built_and_only_that() -> None:
    raw = build_block(
        number=5,
        previous_hash=bytes(32),
        envelopes=[b"one", b"two"],
        last_config=3,
        orderer=HOSPITAL.orderer,
        orderer_nonce=bytes(24),
        validation_codes=b"\0\x0b",
        commit_hash=bytes(32),
    )
    block = parse_block(raw)
    assert (block.number, block.envelopes, block.last_config) == (5, (b"one", b"two"), 3)
    assert (block.validation_codes, block.commit_hash) == (b"\0\x0b", bytes(32))
    assert block.header.data_hash == block.data_hash()
    (signature,) = block.signatures
    orderer = parse_identity(HOSPITAL.orderer.identity)
    verify_signature(orderer.public_key, signature.signature, signature.message(block.signed_value, block.header.der()))
    with pytest.raises(Invalid):
        parse_block(raw + b"\x28\x01")


def test_a_filter_of_another_length_is_refused() -> None:
    with pytest.raises(Invalid):
        build_block(
            number=1, previous_hash=b"", envelopes=[b"x"], last_config=0, orderer=None, validation_codes=b"\0\0"
        )


def _metadata(*entries: bytes) -> bytes:
    block = common.Block()
    block.header.number = 1
    block.metadata.metadata.extend(entries)
    raw: bytes = block.SerializeToString(deterministic=True)
    return raw


HIDDEN = {
    "unsigned last configuration that differs": _metadata(b"", b"\x0a\x02\x08\x07"),
    "orderer entry": _metadata(b"", b"", b"", b"x"),
    "sixth entry": _metadata(b"", b"", b"", b"", b"", b"x"),
    "unknown field beside the signatures": _metadata(b"\x28\x01"),
    "signature without header": _metadata(b"\x12\x03\x12\x01s"),
    "commit hash that is no message": _metadata(b"", b"", b"", b"", b"\xff"),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_nothing_hides_in_metadata(what: str) -> None:
    with pytest.raises(Invalid):
        parse_block(HIDDEN[what])
