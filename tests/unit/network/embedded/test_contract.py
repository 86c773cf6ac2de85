"""The product's own contract on the embedded ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.contract import v1
from domain import merkle, transactions
from domain.errors import Conflict, Denied, NotFound
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.transactions import Anchor, CreateRecord, LogHead, OrganizationKey, RegisterOrganization, Transaction
from network.embedded.export import export
from network.embedded.founding import Founding
from network.embedded.ledger import EmbeddedLedger
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.folder import read_blocks
from tests.unit.network.embedded.conftest import StandingClock

LEAF = merkle.leaf_hash(b"leaf")


@pytest.fixture
def north(founding: Founding, clock: StandingClock) -> Iterator[EmbeddedLedger]:
    with EmbeddedLedger(founding.directory, "NorthMSP", clock, os.urandom) as ledger:
        submit(ledger, registration(clock))
        yield ledger


def submit(ledger: EmbeddedLedger, transaction: Transaction) -> str:
    tx_id = ledger.submit(*transactions.encode(transaction))
    status = ledger.status(tx_id)
    assert status is not None
    return status.code


def registration(clock: StandingClock) -> RegisterOrganization:
    keys = tuple(_key(use, clock) for use in ("signing", "witness"))
    return RegisterOrganization("https://north.example", keys)


def _key(use: str, clock: StandingClock) -> OrganizationKey:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return OrganizationKey(use, "Ed25519", f"{use}-1", encode_bytes(public), instant(clock.now()), None)


def first_anchor() -> Anchor:
    head = LogHead(1, encode_bytes(LEAF), ())
    return Anchor(1, None, head, LogHead(0, encode_bytes(merkle.empty_root()), ()), 0)


def test_organisation_log_and_record_are_written_and_found(north: EmbeddedLedger) -> None:
    record = identifier(os.urandom(16))
    assert submit(north, first_anchor()) == "VALID"
    assert submit(north, CreateRecord(record, encode_bytes(LEAF))) == "VALID"
    found = north.evaluate("QueryRecord", {"custodian": "NorthMSP", "record": record})
    assert isinstance(found, dict)
    assert found["leaf"] == encode_bytes(LEAF)


def test_the_same_record_again_changes_nothing_and_another_leaf_is_a_conflict(north: EmbeddedLedger) -> None:
    record = identifier(os.urandom(16))
    assert submit(north, CreateRecord(record, encode_bytes(LEAF))) == "VALID"
    assert submit(north, CreateRecord(record, encode_bytes(LEAF))) == "VALID"
    last = next(north.blocks(north.height() - 1)).transactions[0]
    assert (last.writes, last.event) == ((), None)
    with pytest.raises(Conflict):
        submit(north, CreateRecord(record, encode_bytes(os.urandom(32))))


def test_one_of_two_simultaneous_registrations_wins(founding: Founding, clock: StandingClock) -> None:
    with EmbeddedLedger(founding.directory, "NorthMSP", clock, os.urandom) as ledger:
        signed = [ledger.propose(*transactions.encode(registration(clock))) for _ in range(2)]
        envelopes = [ledger.assemble(ledger.endorse(item)) for item in signed]
        codes = [ledger.status(ledger.broadcast(envelope)) for envelope in envelopes]
        assert [status and status.code for status in codes] == ["VALID", "MVCC_READ_CONFLICT"]


@pytest.mark.parametrize("role", ["auditor", "admin", "peer"])
def test_only_the_node_of_a_hospital_may_write(founding: Founding, clock: StandingClock, role: str) -> None:
    with (
        EmbeddedLedger(founding.directory, "NorthMSP", clock, os.urandom, role=role) as ledger,
        pytest.raises(Denied),
    ):
        submit(ledger, registration(clock))


def test_an_absent_organisation_is_not_found(north: EmbeddedLedger) -> None:
    with pytest.raises(NotFound):
        north.evaluate("QueryOrganization", {"msp": "SouthMSP"})


def test_an_export_replays_through_the_contract(founding: Founding, north: EmbeddedLedger, tmp_path: Path) -> None:
    submit(north, first_anchor())
    export(founding.directory, tmp_path / "out")
    report = verify_chain(
        read_blocks(tmp_path / "out"),
        expected_genesis=bytes.fromhex(founding.genesis),
        replay=ContractReplayer("yilian", lambda sequence: v1.invoke),
    )
    assert (report.replayed, report.codes) == (2, {"VALID": 4})
