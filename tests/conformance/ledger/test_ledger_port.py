"""What every adapter of the port ``Ledger`` promises."""

from __future__ import annotations

import threading

import pytest

from domain import jcs
from domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable, YilianError
from domain.ports import CommittedTransaction, Ledger
from tests.conformance.ledger.adapters import HOSPITALS, Cabinet, Network, StagedLedger, decided


def put(ledger: Ledger, cabinet: Cabinet, drawer: str, text: str) -> str:
    return ledger.submit("Put", cabinet.arguments(drawer=drawer, text=text))


def committed(ledger: Ledger, cabinet: Cabinet, tx_id: str) -> CommittedTransaction:
    decided(ledger, tx_id)
    (found,) = [item for item in cabinet.transactions(ledger) if item.tx_id == tx_id]
    return found


def test_a_submitted_transaction_becomes_valid_and_is_read_by_everybody(
    north: StagedLedger, south: StagedLedger, cabinet: Cabinet
) -> None:
    status = decided(south, put(north, cabinet, "a", "病历"))
    assert status.valid
    assert cabinet.evaluate(south, "Read", drawer="a") == "病历"


def test_a_block_tells_creator_arguments_writes_and_event(south: StagedLedger, cabinet: Cabinet) -> None:
    arguments = cabinet.arguments(drawer="a", text="x")
    found = committed(south, cabinet, south.submit("Put", arguments))
    assert (found.code, found.creator, found.name) == ("VALID", HOSPITALS[1], "Put")
    assert found.arguments == arguments
    assert [(item.key, item.value) for item in found.writes] == [(f"\0drawer\0{cabinet.name}\0a\0", b'"x"')]
    assert found.event == ("Put", arguments)


def test_every_block_tells_the_channels_members(north: StagedLedger, cabinet: Cabinet) -> None:
    decided(north, put(north, cabinet, "a", "x"))
    assert {block.members for block in north.blocks(0)} == {tuple(sorted(HOSPITALS))}


def test_a_deletion_is_a_write_without_value(north: StagedLedger, cabinet: Cabinet) -> None:
    decided(north, put(north, cabinet, "a", "x"))
    found = committed(north, cabinet, north.submit("Empty", cabinet.arguments(drawer="a")))
    assert [(item.key, item.value) for item in found.writes] == [(f"\0drawer\0{cabinet.name}\0a\0", None)]
    with pytest.raises(NotFound):
        cabinet.evaluate(north, "Read", drawer="a")


@pytest.mark.parametrize(("status", "kind"), [(400, Invalid), (403, Denied), (404, NotFound), (409, Conflict)])
def test_the_contracts_refusal_arrives_as_our_error_and_nothing_is_broadcast(
    north: StagedLedger, status: int, kind: type[YilianError]
) -> None:
    height = north.height()
    with pytest.raises(kind) as submitted:
        north.submit("Refuse", jcs.canonical({"status": status}))
    with pytest.raises(kind) as evaluated:
        north.evaluate("Refuse", {"status": status})
    for caught in (submitted.value, evaluated.value):
        assert (caught.reason, caught.place) == ("asked-for", "drawer")
    assert north.height() == height


def test_an_unknown_transaction_has_no_status(north: StagedLedger) -> None:
    assert north.status("00" * 32) is None


def test_a_query_changes_nothing(north: StagedLedger, cabinet: Cabinet) -> None:
    height = north.height()
    cabinet.evaluate(north, "Put", drawer="a", text="x")
    assert north.height() == height
    with pytest.raises(NotFound):
        cabinet.evaluate(north, "Read", drawer="a")


def test_the_contract_learns_the_callers_organisation_and_role_from_the_certificate(
    network: Network, south: StagedLedger
) -> None:
    assert south.evaluate("WhoAmI", {}) == [HOSPITALS[1], network.role_attributes]


def test_blocks_come_once_each_in_order_from_any_start(north: StagedLedger, cabinet: Cabinet) -> None:
    for text in "abc":
        decided(north, put(north, cabinet, text, text))
    blocks = list(north.blocks(0))
    assert [block.number for block in blocks] == list(range(north.height()))
    for start in (1, 2, len(blocks) - 1):
        assert list(north.blocks(start)) == blocks[start:]
    assert list(north.blocks(north.height())) == []
    assert len({block.header_hash for block in blocks}) == len(blocks)
    assert [block.valid for block in blocks[-3:]] == [(True,)] * 3


def test_two_organisations_see_the_same_blocks(
    network: Network, north: StagedLedger, south: StagedLedger, cabinet: Cabinet
) -> None:
    decided(south, put(north, cabinet, "a", "x"))
    network.level()
    height = min(north.height(), south.height())
    assert list(north.blocks(0))[:height] == list(south.blocks(0))[:height]


def test_waiting_ends_with_the_block_of_another_organisation(
    north: StagedLedger, south: StagedLedger, cabinet: Cabinet
) -> None:
    height = south.height()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(south.wait_for_block(height, timeout_s=10)))
    waiting.start()
    decided(north, put(north, cabinet, "a", "x"))
    waiting.join(timeout=10)
    assert answers == [True]


def test_waiting_for_a_block_that_is_there_ends_at_once(north: StagedLedger) -> None:
    assert north.wait_for_block(north.height() - 1, timeout_s=0)


def test_waiting_in_vain_says_so(north: StagedLedger) -> None:
    assert not north.wait_for_block(north.height(), timeout_s=0.01)


def test_transactions_of_many_threads_all_get_in_once(network: Network, cabinet: Cabinet) -> None:
    ledgers = [network.ledger(msp_id) for msp_id in HOSPITALS]
    tx_ids: list[str] = []

    def write(ledger: StagedLedger, first: int) -> None:
        tx_ids.extend(put(ledger, cabinet, f"{first}-{number}", "x") for number in range(5))

    threads = [threading.Thread(target=write, args=(ledger, i)) for i, ledger in enumerate(ledgers * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(set(tx_ids)) == 60
    assert all(decided(ledgers[0], tx_id).valid for tx_id in tx_ids)
    network.level()
    listed = cabinet.evaluate(ledgers[1], "List")
    assert isinstance(listed, list)
    assert len(listed) == 60


def test_what_was_closed_is_unavailable(network: Network) -> None:
    ledger = network.ledger(HOSPITALS[2])
    ledger.close()
    for call in (ledger.height, lambda: ledger.status("00" * 32), lambda: list(ledger.blocks(0))):
        with pytest.raises(Unavailable):
            call()
