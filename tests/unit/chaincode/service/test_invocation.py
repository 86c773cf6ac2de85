"""What is executed is what was signed, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chaincode.service.invocation import parse_invocation
from chaincode.service.message import Kind, Message, parse_message
from domain.errors import Denied, Invalid, YilianError
from network.blocks import protos
from network.blocks.protos import common
from tests.unit.chaincode.service.peer import CONTRACT, proposal, transaction
from tests.unit.chaincode.world import B

SIGNED = proposal("Get", b"k", transient={"a": b"1"})
SENT = parse_message(transaction(SIGNED).SerializeToString())


def test_an_invocation_is_read_from_the_signed_proposal() -> None:
    found = parse_invocation(SENT, CONTRACT)
    assert (found.tx_id, found.channel) == (SIGNED.tx_id, SIGNED.channel)
    assert (found.name, found.arguments, found.transient) == ("Get", b"k", {"a": b"1"})
    assert found.timestamp_ns == SIGNED.timestamp_ns


def test_no_repr_shows_what_was_sent() -> None:
    asked = proposal("Get", b"Zyxqwv", transient={"Zyxqwv": b"Zyxqwv"})
    message = parse_message(transaction(asked).SerializeToString())
    assert "Zyxqwv" not in repr(message) + repr(parse_invocation(message, CONTRACT))


def altered(change: Callable[[protos.proposal.Proposal], None]) -> Message:
    message = protos.proposal.Proposal.FromString(SENT.proposal)
    change(message)
    return replace(SENT, proposal=message.SerializeToString())


def other_header(change: Callable[[common.Header], None]) -> Message:
    def apply(message: protos.proposal.Proposal) -> None:
        header = common.Header.FromString(message.header)
        change(header)
        message.header = header.SerializeToString()

    return altered(apply)


def input_of(*args: bytes) -> bytes:
    return bytes(protos.chaincode.ChaincodeInput(args=args).SerializeToString())


def sent_for(asked_for: bytes) -> Message:
    """A message whose arguments are those that were signed, whatever they are."""
    asked = proposal("Get", b"k")
    message = parse_message(transaction(asked).SerializeToString())
    spec = protos.chaincode.ChaincodeInvocationSpec()
    spec.chaincode_spec.input.ParseFromString(asked_for)
    payload = protos.proposal.ChaincodeProposalPayload(input=spec.SerializeToString())
    signed = protos.proposal.Proposal.FromString(message.proposal)
    signed.payload = payload.SerializeToString()
    return replace(message, proposal=signed.SerializeToString(), payload=asked_for)


@pytest.mark.parametrize(
    ("message", "kind", "reason"),
    [
        (replace(SENT, proposal=b""), Invalid, "bad-proposal"),
        (replace(SENT, proposal=b"\xff"), Invalid, "bad-protobuf"),
        (replace(SENT, payload=b"\xff"), Invalid, "bad-protobuf"),
        (replace(SENT, payload=b""), Denied, "other-arguments"),
        (replace(SENT, payload=input_of(b"Get", b"other")), Denied, "other-arguments"),
        (replace(SENT, payload=input_of(b"Get", b"k", b"")), Denied, "other-arguments"),
        (replace(SENT, channel="other"), Invalid, "bad-proposal"),
        (replace(SENT, tx_id=proposal("Get").tx_id), Invalid, "bad-proposal"),
        (replace(SENT, tx_id=""), Invalid, "bad-proposal"),
        (replace(SENT, tx_id="A" * 64), Invalid, "bad-proposal"),
        (replace(SENT, tx_id="0" * 64 + "\n"), Invalid, "bad-proposal"),
        (altered(lambda it: it.ClearField("header")), Invalid, "bad-proposal"),
        (altered(lambda it: setattr(it, "payload", b"")), Denied, "other-arguments"),
        (altered(lambda it: setattr(it, "payload", b"\xff")), Invalid, "bad-protobuf"),
        (other_header(lambda it: setattr(it, "channel_header", b"\xff")), Invalid, "bad-protobuf"),
        (other_header(lambda it: setattr(it, "signature_header", b"")), Invalid, "bad-proposal"),
        (
            other_header(lambda it: setattr(it, "signature_header", proposal("Get", caller=B).signature_header)),
            Invalid,
            "bad-proposal",
        ),
        (sent_for(input_of()), Invalid, "bad-arguments"),
        (sent_for(input_of(b"Get")), Invalid, "bad-arguments"),
        (sent_for(input_of(b"Get", b"k", b"")), Invalid, "bad-arguments"),
        (sent_for(input_of(b"\xff", b"k")), Invalid, "bad-arguments"),
        (parse_message(transaction(proposal("Get", contract="other")).SerializeToString()), Denied, "other-contract"),
    ],
)  # fmt: skip
def test_what_does_not_say_what_was_signed_is_refused(message: Message, kind: type[YilianError], reason: str) -> None:
    with pytest.raises(kind) as refusal:
        parse_invocation(message, CONTRACT)
    assert refusal.value.reason == reason


def test_a_message_survives_its_encoding() -> None:
    message = Message(Kind.PUT_STATE, "channel", "tx", b"payload")
    assert parse_message(message.encode()) == message
