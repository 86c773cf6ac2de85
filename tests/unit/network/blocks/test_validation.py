"""Transactions that cannot be read or do not fit together get Fabric's codes and never a way out."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Denied, Invalid
from network.blocks import protos
from network.blocks.block import parse_block
from network.blocks.codes import ValidationCode, code_name
from network.blocks.lifecycle import ChaincodeDefinition, commit_definition
from network.blocks.proposal import (
    build_channel_header,
    build_payload,
    build_signature_header,
    endorse,
    sign_envelope,
)
from network.blocks.protos import common, parse_into, serialize
from network.blocks.rwset import Version
from network.blocks.transaction import HeaderType, parse_envelope
from network.blocks.validation import TransactionValidator, validate_block
from network.verifier.chain import ChainVerifier
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, NOW_NS, HospitalChannel

Code = ValidationCode
CHANNEL_UNDER_TEST = HospitalChannel.new()
CLIENT = CHANNEL_UNDER_TEST.hospitals[0].client
HONEST = CHANNEL_UNDER_TEST.write({"a": b"1"})


def _verifier() -> ChainVerifier:
    verifier = ChainVerifier()
    for raw in CHANNEL_UNDER_TEST.blocks:
        verifier.add(raw)
    return verifier


VERIFIER = _verifier()


def _code(raw: bytes) -> ValidationCode:
    return TransactionValidator(CHANNEL, VERIFIER.config, VERIFIER.state).validate(raw).code


def _payload(kind: int = HeaderType.ENDORSER_TRANSACTION, **changes: Any) -> bytes:
    """The honest payload with changed header fields, signed again."""
    payload = parse_into(common.Payload(), parse_envelope(HONEST).payload, "Payload")
    header = parse_into(common.ChannelHeader(), payload.header.channel_header, "ChannelHeader")
    header.type = kind
    for name, value in changes.items():
        setattr(header, name, value)
    payload.header.channel_header = serialize(header)
    return sign_envelope(serialize(payload), CLIENT)


def _with_action(change: str, value: bytes) -> bytes:
    """The honest transaction with one layer of its endorsed action replaced and the proposal hash kept right."""
    envelope = parse_envelope(HONEST)
    transaction = parse_into(protos.transaction.Transaction(), envelope.data, "Transaction")
    payload = parse_into(protos.transaction.ChaincodeActionPayload(), transaction.actions[0].payload, "Payload")
    response = parse_into(
        protos.proposal_response.ProposalResponsePayload(), payload.action.proposal_response_payload, "Response"
    )
    action = parse_into(protos.proposal.ChaincodeAction(), response.extension, "ChaincodeAction")
    match change:
        case "action":
            response.extension = value
        case "name":
            action.chaincode_id.name = value.decode()
        case "version":
            action.chaincode_id.version = value.decode()
        case "results" | "events":
            setattr(action, change, value)
    if change != "action":
        response.extension = serialize(action)
    payload.action.proposal_response_payload = serialize(response)
    transaction.actions[0].payload = serialize(payload)
    raw = build_payload(envelope.channel_header, envelope.signature_header, serialize(transaction))
    return sign_envelope(raw, CLIENT)


def _signed(data: bytes, header: bytes | None = None) -> bytes:
    envelope = parse_envelope(HONEST)
    return sign_envelope(build_payload(envelope.channel_header, header or envelope.signature_header, data), CLIENT)


def _anonymous() -> bytes:
    header = build_channel_header(HeaderType.ENDORSER_TRANSACTION, CHANNEL, "", NOW_NS)
    return sign_envelope(build_payload(header, build_signature_header(b"", b"n"), b""), CLIENT)


def _two_actions() -> bytes:
    transaction = parse_into(protos.transaction.Transaction(), parse_envelope(HONEST).data, "Transaction")
    transaction.actions.append(transaction.actions[0])
    return _signed(serialize(transaction))


def _twice_the_namespace() -> bytes:
    results = parse_into(protos.rwset.TxReadWriteSet(), b"", "TxReadWriteSet")
    results.ns_rwset.add(namespace=CHAINCODE)
    results.ns_rwset.add(namespace=CHAINCODE)
    return _with_action("results", serialize(results))


def _foreign_event() -> bytes:
    event = protos.chaincode_event.ChaincodeEvent(chaincode_id="other", tx_id="", event_name="x")
    return _with_action("events", serialize(event))


BROKEN: dict[str, tuple[bytes, ValidationCode]] = {
    "no envelope": (b"\xff", Code.INVALID_OTHER_REASON),
    "nothing": (b"", Code.BAD_COMMON_HEADER),
    "no payload": (serialize(common.Envelope(payload=b"\xff")), Code.BAD_PAYLOAD),
    "no channel header": (sign_envelope(build_payload(b"\xff", b"", b""), CLIENT), Code.BAD_COMMON_HEADER),
    "no signature header": (sign_envelope(build_payload(b"", b"\xff", b""), CLIENT), Code.BAD_COMMON_HEADER),
    "no creator": (_anonymous(), Code.BAD_COMMON_HEADER),
    "epoch": (_payload(epoch=1), Code.BAD_COMMON_HEADER),
    "message": (_payload(HeaderType.MESSAGE), Code.BAD_COMMON_HEADER),
    "configuration update in a block": (_payload(HeaderType.CONFIG_UPDATE), Code.UNSUPPORTED_TX_PAYLOAD),
    "somebody else's id": (_payload(tx_id="00" * 32), Code.BAD_PROPOSAL_TXID),
    "other header than endorsed": (_payload(version=1), Code.INVALID_ENDORSER_TRANSACTION),
    "no transaction": (_signed(b"\xff"), Code.INVALID_ENDORSER_TRANSACTION),
    "no action": (_signed(b""), Code.INVALID_ENDORSER_TRANSACTION),
    "two actions": (_two_actions(), Code.INVALID_ENDORSER_TRANSACTION),
    "no endorsed action": (_with_action("action", b"\xff"), Code.BAD_RESPONSE_PAYLOAD),
    "no read-write set": (_with_action("results", b"\xff"), Code.BAD_RWSET),
    "another chaincode than proposed": (_with_action("name", b"other"), Code.INVALID_CHAINCODE),
    "no version": (_with_action("version", b""), Code.INVALID_CHAINCODE),
    "event of another chaincode": (_foreign_event(), Code.INVALID_OTHER_REASON),
    "event that is none": (_with_action("events", b"\xff"), Code.INVALID_OTHER_REASON),
    "namespace twice": (_twice_the_namespace(), Code.ILLEGAL_WRITESET),
    "changed after endorsement": (_with_action("results", b""), Code.ENDORSEMENT_POLICY_FAILURE),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_transactions_get_fabrics_codes(what: str) -> None:
    raw, code = BROKEN[what]
    assert _code(raw) == code


def test_the_honest_transaction_is_valid() -> None:
    assert _code(HONEST) == Code.VALID


@settings(max_examples=150, deadline=None)
@given(bit=st.integers(0, len(HONEST) * 8 - 1), cut=st.booleans())
def test_a_flipped_bit_makes_a_transaction_invalid_and_nothing_else_happens(bit: int, *, cut: bool) -> None:
    altered = bytearray(HONEST)
    altered[bit // 8] ^= 1 << bit % 8
    assert _code(bytes(altered[: bit // 8]) if cut else bytes(altered)) != Code.VALID


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_creator_who_signs_garbage_gets_a_code(changes: list[tuple[int, int]]) -> None:
    payload = bytearray(parse_envelope(HONEST).payload)
    for position, mask in changes:
        payload[position % len(payload)] ^= mask
    with suppress(Invalid, Denied):  # a configuration transaction by accident
        assert _code(sign_envelope(bytes(payload), CLIENT)) in set(ValidationCode)


def _with_key_policy() -> bytes:
    public = protos.kvrwset.KVRWSet()
    public.metadata_writes.add(key="a")
    results = protos.rwset.TxReadWriteSet()
    results.ns_rwset.add(namespace=CHAINCODE, rwset=serialize(public))
    return serialize(results)


def test_a_key_level_policy_that_nobody_endorsed_is_a_policy_failure_and_stops_no_verification() -> None:
    assert _code(_with_action("results", _with_key_policy())) == Code.ENDORSEMENT_POLICY_FAILURE


def test_an_endorsed_key_level_policy_is_refused_rather_than_ignored() -> None:
    raw = _endorsed(_with_action("results", _with_key_policy()))
    assert _code(raw) == Code.VALID
    with pytest.raises(Invalid) as caught:
        validate_block(2, [raw], channel=CHANNEL, config=VERIFIER.config, state=VERIFIER.state)
    assert caught.value.reason == "unsupported"


def _endorsed(raw: bytes) -> bytes:
    """The same transaction, endorsed again over what it says now."""
    envelope = parse_envelope(raw)
    transaction = parse_into(protos.transaction.Transaction(), envelope.data, "Transaction")
    payload = parse_into(protos.transaction.ChaincodeActionPayload(), transaction.actions[0].payload, "Payload")
    del payload.action.endorsements[:]
    for hospital in CHANNEL_UNDER_TEST.hospitals:
        endorsement = endorse(payload.action.proposal_response_payload, hospital.peer)
        payload.action.endorsements.add(endorser=endorsement.endorser, signature=endorsement.signature)
    transaction.actions[0].payload = serialize(payload)
    return _signed(serialize(transaction))


@pytest.mark.parametrize("validation_parameter", [b"\xff", b"", b"\x12\x08/Channel"])
def test_a_definition_with_a_policy_that_is_none_lets_nothing_through(validation_parameter: bytes) -> None:
    definition = ChaincodeDefinition(CHAINCODE, 2, "1", validation_parameter)
    state = _verifier().state
    state.apply((commit_definition(definition, None)[1],), Version(2, 0))
    validated = TransactionValidator(CHANNEL, VERIFIER.config, state).validate(HONEST)
    expected = Code.ENDORSEMENT_POLICY_FAILURE if validation_parameter else Code.INVALID_CHAINCODE
    assert validated.code == expected


def test_codes_of_a_block_are_its_filter() -> None:
    raw = CHANNEL_UNDER_TEST.block([HONEST, HONEST], [Code.VALID, Code.DUPLICATE_TXID])
    block = parse_block(raw)
    validated = validate_block(
        block.number, block.envelopes, channel=CHANNEL, config=VERIFIER.config, state=VERIFIER.state
    )
    assert validated.codes == block.validation_codes


def test_codes_have_fabrics_names() -> None:
    for name, number in protos.transaction.TxValidationCode.items():
        assert code_name(number) == name
    assert code_name(99) == "UNKNOWN_99"
