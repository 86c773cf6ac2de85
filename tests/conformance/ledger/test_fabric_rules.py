"""The rules of Fabric at commit: each story with the validation code that Fabric gives it.

What a peer decides is in core/committer/txvalidator/v20 and core/ledger/kvledger/txmgmt/validation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from domain.errors import Denied, NotFound
from domain.jcs import JsonValue
from network.blocks.proposal import Endorsement
from network.blocks.protos import common, parse_into, serialize
from network.embedded.endorser import Endorsed
from tests.conformance.ledger.adapters import HOSPITALS, Cabinet, Network, StagedLedger, decided
from tests.conformance.ledger.forgery import under_the_id


@dataclass(frozen=True, slots=True)
class Bench:
    """Two hospitals between whose stages a story moves, in a cabinet of its own."""

    network: Network
    north: StagedLedger
    south: StagedLedger
    cabinet: Cabinet

    def endorse(self, name: str = "Put", *, by: StagedLedger | None = None, **given: JsonValue) -> Endorsed:
        """Endorsed against the present state by all peers; by default a text put into drawer a."""
        self.network.level()
        ledger = by or self.north
        arguments = self.cabinet.arguments(**(given or {"drawer": "a", "text": "1"}))
        return ledger.endorse(ledger.propose(name, arguments))

    def endorsed(self, name: str, **given: JsonValue) -> bytes:
        """An envelope ready to be broadcast."""
        return self.north.assemble(self.endorse(name, by=self.north, **given))

    def submit(self, name: str, **given: JsonValue) -> None:
        """A transaction of the other hospital that commits first."""
        tx_id = self.south.submit(name, self.cabinet.arguments(**given))
        assert decided(self.south, tx_id).valid

    def code(self, envelope: bytes) -> str:
        return decided(self.north, self.north.broadcast(envelope)).code

    def codes(self) -> list[str]:
        return self.cabinet.codes(self.north)

    def read(self, drawer: str) -> JsonValue:
        return self.evaluate("Read", drawer=drawer)

    def evaluate(self, name: str, **given: JsonValue) -> JsonValue:
        """A query, once all peers have all blocks."""
        self.network.level()
        return self.cabinet.evaluate(self.south, name, **given)


Story = Callable[[Bench], str]


def nothing_in_between(bench: Bench) -> str:
    return bench.code(bench.endorsed("Append", drawer="a", text="1"))


def read_key_changed(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Append", drawer="a", text="2")
    return bench.code(envelope)


def read_key_rewritten_with_the_same_value(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Put", drawer="a", text="0")
    return bench.code(envelope)


def absent_key_created(bench: Bench) -> str:
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Put", drawer="a", text="0")
    return bench.code(envelope)


def read_key_deleted(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Empty", drawer="a")
    return bench.code(envelope)


def created_and_deleted_again(bench: Bench) -> str:
    """An absent key has no version, so nothing is left to notice."""
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Put", drawer="a", text="0")
    bench.submit("Empty", drawer="a")
    return bench.code(envelope)


def blind_write_after_a_change(bench: Bench) -> str:
    envelope = bench.endorsed("Put", drawer="a", text="1")
    bench.submit("Put", drawer="a", text="0")
    return bench.code(envelope)


def another_key_changed(bench: Bench) -> str:
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Put", drawer="b", text="0")
    return bench.code(envelope)


def key_added_to_a_range(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Count")
    bench.submit("Put", drawer="b", text="0")
    return bench.code(envelope)


def key_removed_from_a_range(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Count")
    bench.submit("Empty", drawer="a")
    return bench.code(envelope)


def value_changed_in_a_range(bench: Bench) -> str:
    bench.submit("Put", drawer="a", text="0")
    envelope = bench.endorsed("Count")
    bench.submit("Put", drawer="a", text="1")
    return bench.code(envelope)


def key_added_to_an_empty_range(bench: Bench) -> str:
    envelope = bench.endorsed("Count")
    bench.submit("Put", drawer="a", text="0")
    return bench.code(envelope)


def key_added_to_a_range_of_over_fifty(bench: Bench) -> str:
    """Such a range is recorded as a digest (Fabric's ``QueryReadsMerkleSummary``)."""
    bench.network.commit_together([bench.endorsed("Put", drawer=f"{n:03}", text="0") for n in range(60)])
    envelope = bench.endorsed("Count")
    bench.submit("Put", drawer="030a", text="0")
    return bench.code(envelope)


def range_of_over_fifty_untouched(bench: Bench) -> str:
    bench.network.commit_together([bench.endorsed("Put", drawer=f"{n:03}", text="0") for n in range(60)])
    return bench.code(bench.endorsed("Count"))


def _with_endorsements(bench: Bench, keep: Callable[[tuple[Endorsement, ...]], list[Endorsement]]) -> str:
    endorsed = bench.endorse()
    return bench.code(bench.north.assemble(replace(endorsed, endorsements=tuple(keep(endorsed.endorsements)))))


def just_enough_endorsements(bench: Bench) -> str:
    return _with_endorsements(bench, lambda given: list(given[1:]))


def one_endorsement_too_few(bench: Bench) -> str:
    return _with_endorsements(bench, lambda given: [given[0]])


def one_endorsement_twice(bench: Bench) -> str:
    return _with_endorsements(bench, lambda given: [given[0], given[0]])


def one_endorsement_forged(bench: Bench) -> str:
    return _with_endorsements(bench, lambda given: [given[0], replace(given[1], signature=given[0].signature)])


def no_endorsement(bench: Bench) -> str:
    return _with_endorsements(bench, lambda given: [])


def endorsed_result_altered(bench: Bench) -> str:
    """The same length of text, so that every message around it still parses."""
    envelope = bench.endorsed("Put", drawer="a", text="honest")
    message = parse_into(common.Envelope(), envelope, "Envelope")
    altered = message.payload[::-1].replace(b'"honest"'[::-1], b'"wicked"'[::-1], 1)[::-1]
    assert altered != message.payload
    return bench.code(serialize(common.Envelope(payload=altered, signature=message.signature)))


def creators_signature_missing(bench: Bench) -> str:
    message = parse_into(common.Envelope(), bench.endorsed("Put", drawer="a", text="1"), "Envelope")
    return bench.code(serialize(common.Envelope(payload=message.payload)))


def signed_by_another_member(bench: Bench) -> str:
    endorsed = bench.endorse()
    return bench.code(bench.south.assemble(endorsed))


def id_that_is_not_the_hash_of_nonce_and_creator(bench: Bench) -> str:
    """BAD_PROPOSAL_TXID in the block, which the reader finds again; for whom the id belongs to, it is taken."""
    return bench.code(under_the_id(bench.south, bench.endorse(by=bench.south), os.urandom(32).hex()))


def id_taken_before_by_a_forger(bench: Bench) -> str:
    """Fabric's block index holds every id that a header claims."""
    victim = bench.endorse()
    forger = bench.endorse(by=bench.south, drawer="a", text="2")
    bench.code(under_the_id(bench.south, forger, victim.proposal.tx_id))
    bench.code(bench.north.assemble(victim))
    return bench.codes()[-1]


def result_of_another_proposal(bench: Bench) -> str:
    first = bench.endorse()
    second = bench.endorse(drawer="a", text="2")
    return bench.code(bench.north.assemble(replace(first, proposal=second.proposal)))


TABLE: dict[Story, str] = {
    nothing_in_between: "VALID",
    read_key_changed: "MVCC_READ_CONFLICT",
    read_key_rewritten_with_the_same_value: "MVCC_READ_CONFLICT",
    absent_key_created: "MVCC_READ_CONFLICT",
    read_key_deleted: "MVCC_READ_CONFLICT",
    created_and_deleted_again: "VALID",
    blind_write_after_a_change: "VALID",
    another_key_changed: "VALID",
    key_added_to_a_range: "PHANTOM_READ_CONFLICT",
    key_removed_from_a_range: "PHANTOM_READ_CONFLICT",
    value_changed_in_a_range: "PHANTOM_READ_CONFLICT",
    key_added_to_an_empty_range: "PHANTOM_READ_CONFLICT",
    key_added_to_a_range_of_over_fifty: "PHANTOM_READ_CONFLICT",
    range_of_over_fifty_untouched: "VALID",
    just_enough_endorsements: "VALID",
    one_endorsement_too_few: "ENDORSEMENT_POLICY_FAILURE",
    one_endorsement_twice: "ENDORSEMENT_POLICY_FAILURE",
    one_endorsement_forged: "ENDORSEMENT_POLICY_FAILURE",
    no_endorsement: "ENDORSEMENT_POLICY_FAILURE",
    endorsed_result_altered: "BAD_CREATOR_SIGNATURE",
    creators_signature_missing: "BAD_CREATOR_SIGNATURE",
    signed_by_another_member: "BAD_CREATOR_SIGNATURE",
    id_that_is_not_the_hash_of_nonce_and_creator: "DUPLICATE_TXID",
    id_taken_before_by_a_forger: "DUPLICATE_TXID",
    result_of_another_proposal: "INVALID_ENDORSER_TRANSACTION",
}


REFUSED_BY_ORDERING_NODES = (endorsed_result_altered, creators_signature_missing, signed_by_another_member)
"""On Fabric an honest ordering node checks the creator's signature (sigfilter), so none of these reaches a block: that
a peer would give the code is shown on the embedded ledger alone."""


@pytest.fixture
def bench(network: Network, north: StagedLedger, south: StagedLedger, cabinet: Cabinet) -> Bench:
    return Bench(network, north, south, cabinet)


@pytest.mark.parametrize("story", TABLE, ids=lambda story: story.__name__)
def test_fabrics_code(bench: Bench, story: Story) -> None:
    if bench.network.kind == "fabric" and story in REFUSED_BY_ORDERING_NODES:
        with pytest.raises(Denied):
            story(bench)
        return
    height = bench.north.height()
    before = bench.codes()
    assert story(bench) == TABLE[story]
    assert bench.north.height() > height
    bench.network.level()
    start = bench.cabinet.start
    assert [block.number for block in bench.south.blocks(start)] == list(range(start, bench.south.height()))
    assert bench.codes()[: len(before)] == before


def test_an_invalid_transaction_writes_nothing(bench: Bench) -> None:
    assert one_endorsement_too_few(bench) == "ENDORSEMENT_POLICY_FAILURE"
    with pytest.raises(NotFound):
        bench.read("a")
    assert bench.evaluate("History", drawer="a") == []


def test_the_first_of_two_conflicting_transactions_in_one_block_wins(bench: Bench) -> None:
    envelopes = [bench.endorsed("Append", drawer="a", text=text) for text in "12"]
    bench.network.commit_together(envelopes)
    assert bench.codes()[-2:] == ["VALID", "MVCC_READ_CONFLICT"]
    assert bench.read("a") == "1"


def test_a_key_written_earlier_in_the_block_is_a_phantom_of_a_later_range(bench: Bench) -> None:
    bench.network.commit_together([bench.endorsed("Put", drawer="a", text="1"), bench.endorsed("Count")])
    assert bench.codes()[-2:] == ["VALID", "PHANTOM_READ_CONFLICT"]


def test_an_invalid_transaction_does_not_disturb_a_later_one_of_its_block(bench: Bench) -> None:
    first = bench.endorse("Append", drawer="a", text="1")
    unendorsed = bench.north.assemble(replace(first, endorsements=()))
    bench.network.commit_together([unendorsed, bench.endorsed("Append", drawer="a", text="2")])
    assert bench.codes()[-2:] == ["ENDORSEMENT_POLICY_FAILURE", "VALID"]


def test_a_transaction_broadcast_twice_counts_once_and_keeps_its_status(bench: Bench) -> None:
    envelope = bench.endorsed("Append", drawer="a", text="1")
    assert bench.code(envelope) == "VALID"
    assert bench.code(envelope) == "VALID"
    assert bench.codes()[-2:] == ["VALID", "DUPLICATE_TXID"]
    assert bench.read("a") == "1"


def test_a_transaction_twice_in_one_block_counts_once(bench: Bench) -> None:
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.network.commit_together([envelope, envelope])
    assert bench.codes()[-2:] == ["VALID", "DUPLICATE_TXID"]
    last = bench.cabinet.transactions(bench.north)[-1]
    assert decided(bench.north, last.tx_id).valid


def test_an_id_claimed_by_a_forger_in_the_same_block_still_has_its_owners_status(bench: Bench) -> None:
    victim = bench.endorse()
    forger = bench.endorse(by=bench.south, drawer="a", text="2")
    forged = under_the_id(bench.south, forger, victim.proposal.tx_id)
    bench.network.commit_together([forged, bench.north.assemble(victim)])
    assert decided(bench.north, victim.proposal.tx_id).valid
    assert bench.read("a") == "1"


def test_a_rejected_transaction_cannot_be_broadcast_again(bench: Bench) -> None:
    envelope = bench.endorsed("Append", drawer="a", text="1")
    bench.submit("Put", drawer="a", text="0")
    assert bench.code(envelope) == "MVCC_READ_CONFLICT"
    bench.submit("Empty", drawer="a")
    assert bench.code(envelope) == "MVCC_READ_CONFLICT"
    assert bench.codes()[-1] == "DUPLICATE_TXID"


def test_a_transaction_does_not_read_its_own_writes_and_the_last_write_of_a_key_counts(bench: Bench) -> None:
    bench.submit("Put", drawer="a", text="0")
    assert bench.evaluate("PutTwiceAndRead", drawer="a") == "0"
    bench.submit("PutTwiceAndRead", drawer="a")
    assert bench.read("a") == "second"


def test_history_is_newest_first_with_deletions_and_without_rejected_writes(bench: Bench) -> None:
    bench.submit("Put", drawer="a", text="1")
    stale = bench.endorsed("Append", drawer="a", text="never")
    bench.submit("Empty", drawer="a")
    assert bench.code(stale) == "MVCC_READ_CONFLICT"
    bench.submit("Put", drawer="a", text="2")
    history = bench.evaluate("History", drawer="a")
    valid = [item.tx_id for item in bench.cabinet.transactions(bench.north) if item.code == "VALID"]
    assert history == [[valid[2], "2"], [valid[1], None], [valid[0], "1"]]


def test_range_results_come_in_the_order_of_utf8_bytes(bench: Bench) -> None:
    for drawer in ("\U0001f600", "z", "\uffef", "病"):
        bench.submit("Put", drawer=drawer, text=drawer)
    assert bench.evaluate("List") == ["z", "病", "\uffef", "\U0001f600"]


def test_creators_are_named_by_their_certificates(bench: Bench) -> None:
    bench.submit("Put", drawer="a", text="1")
    bench.network.level()
    last = bench.cabinet.transactions(bench.north)[-1]
    assert last.creator == HOSPITALS[1]
