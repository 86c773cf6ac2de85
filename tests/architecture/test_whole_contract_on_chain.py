"""Every transaction of the contract on a ledger, and what may stand around them: all of it is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from domain import transactions
from domain.errors import YilianError
from domain.instants import moment
from network.blocks import protos
from network.blocks.codes import ValidationCode
from network.blocks.protos import common, serialize
from network.blocks.transaction import HeaderType, Transaction
from network.blocks.validation import ValidatedTransaction
from network.embedded.export import export
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from network.verifier.content import CONFIGURATION, LIFECYCLE, items_of, passed_over, unlisted
from network.verifier.report import VerifiedBlock
from tests.unit.chaincode import scenario
from tests.unit.chaincode.world import CHANNEL, NOW, A, B, C
from yilian.audit_export import verify_folder
from yilian.contract_versions import CONTRACT
from yilian.language import text
from yilian.main import build

TEXT = "张三 has no kind".encode()


@dataclass
class StoryClock:
    """The time of the story."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Told:
    """The story of the contract as an export, and its verified blocks."""

    folder: Path
    blocks: list[VerifiedBlock]

    def transactions(self) -> Iterator[tuple[VerifiedBlock, ValidatedTransaction, Transaction]]:
        """Those of the contract."""
        for block in self.blocks:
            for one in block.transactions:
                if one.transaction is not None and one.transaction.chaincode == CONTRACT:
                    yield block, one, one.transaction


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Hospitals submit every step; those that the contract refuses leave nothing."""
    folder, clock = tmp_path_factory.mktemp("whole"), StoryClock(moment(NOW))
    init(folder / "ledger", CHANNEL, [A, B, C], clock=clock, random=os.urandom)
    with ExitStack() as stack:
        ledgers = {
            msp: stack.enter_context(EmbeddedLedger(folder / "ledger", msp, clock, os.urandom)) for msp in (A, B, C)
        }
        for caller, step, at in scenario.steps():
            clock.at = moment(at)
            with suppress(YilianError):
                ledgers[caller].submit(*transactions.encode(step))
        export(folder / "ledger", folder / "export")
    blocks: list[VerifiedBlock] = []
    verify_folder(folder / "export", None, blocks.append)
    return Told(folder / "export", blocks)


def test_all_transactions_of_the_contract_hold_listed_values_only(told: Told) -> None:
    written = {
        transaction.args[0].decode()
        for _, one, transaction in told.transactions()
        if one.code == ValidationCode.VALID and any(rwset.writes for rwset in transaction.rwsets)
    }
    assert written == set(transactions.NAMES)
    assert [str(item) for block in told.blocks for item in unlisted(block, CONTRACT)] == []
    looked_at = {item.place.split()[0] for block in told.blocks for item in items_of(block, CONTRACT)}
    assert set(transactions.NAMES) <= looked_at


def test_the_command_counts_them_and_names_what_it_passes_over(told: Told) -> None:
    shown = CliRunner().invoke(build(text("en")), ["audit", "lint", str(told.folder)])
    assert shown.exception is None
    assert f"{len(list(told.transactions()))} transactions hold listed values only" in shown.stdout
    assert f"1 × {LIFECYCLE}, 1 × {CONFIGURATION}" in shown.stdout


def found(block: VerifiedBlock, one: ValidatedTransaction) -> list[str]:
    """Places of what is found where this transaction stands in the block."""
    return [item.place for item in unlisted(replace(block, transactions=(one,)), CONTRACT)]


def test_another_contracts_transaction_is_found_and_fabrics_own_are_named(told: Told) -> None:
    block, one, transaction = next(told.transactions())
    other = replace(one, transaction=replace(transaction, chaincode="notes"))
    assert found(block, other) == ["transaction of another contract"]
    definition = replace(one, transaction=replace(transaction, chaincode=LIFECYCLE))
    assert found(block, definition) == []
    assert list(passed_over(replace(block, transactions=(definition, one, other)))) == [LIFECYCLE]
    assert list(passed_over(told.blocks[0])) == [CONFIGURATION]


def test_what_cannot_be_read_is_found(told: Told) -> None:
    block, one, transaction = next(told.transactions())
    assert found(block, replace(one, transaction=None)) == ["transaction that cannot be read"]
    assert found(block, replace(one, transaction=None, envelope=None)) == ["transaction that cannot be read"]
    envelope = replace(transaction.envelope, type=HeaderType.CONFIG_UPDATE)
    assert found(block, replace(one, transaction=None, envelope=envelope)) == ["transaction that cannot be read"]


UNKNOWN_FIELD = b"\xfa\x7f" + bytes([len(TEXT)]) + TEXT
"""Field 2047 of any message, which none of Fabric's has."""


def of_envelope(**changes: Callable[[Any], bytes]) -> Callable[[Transaction], Transaction]:
    def change(transaction: Transaction) -> Transaction:
        envelope = transaction.envelope
        given: dict[str, Any] = {name: made(getattr(envelope, name)) for name, made in changes.items()}
        return replace(transaction, envelope=replace(envelope, **given))

    return change


def with_more(raw: bytes) -> bytes:
    return raw + UNKNOWN_FIELD


def channel_header(**fields: Any) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        header = common.ChannelHeader.FromString(raw)
        header.MergeFrom(common.ChannelHeader(**fields))
        return serialize(header)

    return change


def with_decoration(transaction: Transaction) -> Transaction:
    proposal = protos.proposal.ChaincodeProposalPayload.FromString(transaction.proposal_payload)
    invocation = protos.chaincode.ChaincodeInvocationSpec.FromString(proposal.input)
    invocation.chaincode_spec.input.decorations["note"] = TEXT
    proposal.input = serialize(invocation)
    return replace(transaction, proposal_payload=serialize(proposal))


def with_path(raw: bytes) -> bytes:
    extension = protos.proposal.ChaincodeHeaderExtension.FromString(raw)
    extension.chaincode_id.path = TEXT.decode()
    return serialize(extension)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (of_envelope(channel_header=with_more), "channel header"),
        (of_envelope(channel_header=channel_header(tls_cert_hash=TEXT)), "channel header with a field"),
        (of_envelope(channel_header=channel_header(epoch=7)), "channel header with a field"),
        (of_envelope(extension=with_more), "header extension"),
        (of_envelope(extension=with_path), "header extension with a field"),
        (of_envelope(signature_header=with_more), "signature header"),
        (of_envelope(signature_header=lambda _: serialize(common.SignatureHeader(nonce=TEXT))), "action header"),
        (of_envelope(nonce=lambda nonce: nonce + TEXT), "nonce"),
        (of_envelope(payload=with_more), "payload"),
        (of_envelope(data=with_more), "transaction"),
        (lambda one: replace(one, proposal_payload=with_more(one.proposal_payload)), "proposal"),
        (with_decoration, "proposal with a field"),
        (lambda one: replace(one, response_payload=with_more(one.response_payload)), "response"),
    ],
)  # fmt: skip
def test_a_text_around_the_contracts_values_is_found(
    told: Told, change: Callable[[Transaction], Transaction], place: str
) -> None:
    block, one, transaction = next(told.transactions())
    assert found(block, one) == []
    changed = change(transaction)
    places = found(block, replace(one, transaction=changed, envelope=changed.envelope))
    assert place in {named.removesuffix(" that is not in use") for named in places}
    assert TEXT.decode() not in " ".join(places)
