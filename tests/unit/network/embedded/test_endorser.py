from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain import jcs
from domain.errors import Conflict, Denied, Invalid, NotFound, YilianError
from network.blocks.proposal import propose
from network.blocks.rwset import NamespaceRwset
from network.blocks.transaction import parse_envelope, parse_transaction
from network.embedded.endorser import SignedProposal
from network.embedded.founding import Founding, init
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.material import load_key_pair
from network.execution import nanoseconds
from tests.unit.network.embedded.conftest import StandingClock

PUT = jcs.canonical({"drawer": "a", "text": "x"})


@pytest.mark.parametrize("away", [timedelta(seconds=60), timedelta(seconds=-60)])
def test_a_proposal_within_60_s_of_the_peers_clock_is_endorsed(
    ledger: EmbeddedLedger, clock: StandingClock, away: timedelta
) -> None:
    signed = ledger.propose("Put", PUT)
    clock.move(away)
    assert len(ledger.endorse(signed).endorsements) == 2


@pytest.mark.parametrize("away", [timedelta(seconds=60, microseconds=1), timedelta(seconds=-61), timedelta(days=400)])
def test_a_proposal_further_away_is_refused(ledger: EmbeddedLedger, clock: StandingClock, away: timedelta) -> None:
    signed = ledger.propose("Put", PUT)
    clock.move(away)
    with pytest.raises(Denied) as caught:
        ledger.endorse(signed)
    assert caught.value.reason == "time-window"


def test_a_proposal_signed_by_somebody_else_is_refused(ledger: EmbeddedLedger) -> None:
    first, second = ledger.propose("Put", PUT), ledger.propose("Put", PUT)
    with pytest.raises(Denied) as caught:
        ledger.endorse(replace(first, signature=second.signature))
    assert caught.value.reason == "bad-signature"


def test_a_member_of_another_founding_is_a_stranger_under_the_same_name(
    ledger: EmbeddedLedger, tmp_path: Path, clock: StandingClock
) -> None:
    other = init(tmp_path / "other", "care", ["NorthMSP"], clock=clock, random=os.urandom)
    with EmbeddedLedger(other.directory, "NorthMSP", clock, os.urandom) as stranger:
        signed = stranger.propose("Put", PUT)
    with pytest.raises(Denied) as caught:
        ledger.endorse(signed)
    assert caught.value.reason == "unknown-authority"


@pytest.mark.parametrize(
    ("channel", "contract", "args", "kind"),
    [
        ("other", "yilian", (b"Put", PUT), Invalid),
        ("care", "other", (b"Put", PUT), NotFound),
        ("care", "yilian", (b"Put",), Invalid),
        ("care", "yilian", (b"Put", PUT, PUT), Invalid),
        ("care", "yilian", (b"\xff", PUT), Invalid),
    ],
)
def test_what_is_not_for_this_contract_is_refused(
    founding: Founding,
    ledger: EmbeddedLedger,
    clock: StandingClock,
    channel: str,
    contract: str,
    args: tuple[bytes, ...],
    kind: type[YilianError],
) -> None:
    signer = load_key_pair(Layout(founding.directory).identity("NorthMSP", "node")).signer("NorthMSP")
    proposal = propose(
        channel=channel,
        chaincode=contract,
        args=args,
        creator=signer.identity,
        nonce=os.urandom(24),
        timestamp_ns=nanoseconds(clock.now()),
    )
    with pytest.raises(kind):
        ledger.endorse(SignedProposal(proposal, signer.sign(proposal.serialize())))


def test_a_proposal_that_is_in_a_block_is_not_endorsed_again(ledger: EmbeddedLedger) -> None:
    signed = ledger.propose("Put", PUT)
    ledger.broadcast(ledger.assemble(ledger.endorse(signed)))
    with pytest.raises(Conflict) as caught:
        ledger.endorse(signed)
    assert caught.value.reason == "duplicate-transaction"


def test_every_endorsement_reads_the_contracts_definition_so_that_an_upgrade_invalidates_it(
    ledger: EmbeddedLedger,
) -> None:
    envelope = ledger.assemble(ledger.endorse(ledger.propose("Put", PUT)))
    definition, own = parse_transaction(parse_envelope(envelope)).rwsets
    assert (definition.namespace, own.namespace) == ("_lifecycle", "yilian")
    assert [(read.key, read.version) for read in definition.reads] == [("namespaces/fields/yilian/Sequence", (1, 0))]
    assert isinstance(own, NamespaceRwset)
    assert [write.key for write in own.writes] == ["\0drawer\0a\0"]
