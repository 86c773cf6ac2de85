"""hfc 1.0.0 (fabric-sdk-py), other people's client of Fabric, reads what the product wrote on a real network; and what
it misreports, which is why the product has a client of its own (docs/adr/0018-hfc-as-interoperability-test.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from domain import jcs
from domain.errors import Conflict, OutcomeUnknown
from domain.jcs import JsonObject
from domain.ports import CommittedTransaction, Ledger
from domain.transactions import UpdateOrganization, encode
from network.blocks.header import BlockHeader
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import SettableClock, decided
from tests.interop.hfc_client import Hfc, hfc_of, need_hfc
from tests.unit.network.witness.conftest import registration

pytestmark = [pytest.mark.fabric, pytest.mark.slow]

MSP = "RenheMSP"
VALID, CONFLICT = "VALID", "MVCC_READ_CONFLICT"
PAIRS = 5
SECRET = "transient-marker-6f1c"
MAX_SUBMITTED = 3


@pytest.fixture(scope="session")
def hfc_environment() -> None:
    """Asked for before a network is started in vain."""
    need_hfc()


@pytest.fixture(scope="module")
def ledger(hfc_environment: None, fabric: NativeNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The channel through the product's own client, with the hospital registered."""
    connection = Connection.read(fabric.connection_file(MSP))
    with FabricLedger(connection, SettableClock(), os.urandom, tmp_path_factory.mktemp("node")) as opened:
        assert decided(opened, opened.submit(*encode(registration(MSP)))).code == VALID
        yield opened


@pytest.fixture
def hfc(ledger: Ledger, fabric: NativeNetwork, tmp_path: Path) -> Hfc:
    """hfc with the same hospital's identity."""
    return hfc_of(fabric, MSP, tmp_path)


def moved(url: str) -> tuple[str, bytes]:
    """The hospital's entry with another address."""
    return encode(UpdateOrganization(url, registration(MSP).keys))


def committed_from(ledger: Ledger, height: int) -> list[CommittedTransaction]:
    """The verified transactions of the blocks from a height on."""
    return [item for block in ledger.blocks(height) for item in block.transactions]


def assert_nothing_else_came(ledger: Ledger, height: int) -> None:
    """No transaction of the contract was ordered since a height: those that are ordered now are the first."""
    own = list[str]()
    while len(own) < MAX_SUBMITTED:
        try:
            own.append(ledger.submit(*moved(f"https://after-{height}.example")))
            break
        except OutcomeUnknown as error:  # a busy ordering service; it may be in later
            own.append(error.tx_id)
    decided(ledger, own[-1])
    came = [item.tx_id for item in committed_from(ledger, height)]
    assert own[-1] in came
    assert set(came) <= set(own)


def test_a_query_by_hfc_answers_what_the_ledger_answers(ledger: Ledger, hfc: Hfc) -> None:
    query: JsonObject = {"msp": MSP}
    answer = hfc.call("chaincode_query", **hfc.invocation("QueryOrganization", jcs.canonical(query)))
    assert json.loads(answer.returned) == ledger.evaluate("QueryOrganization", query)


def test_every_block_as_hfc_reads_it_is_the_verified_block(ledger: Ledger, hfc: Hfc) -> None:
    chain = list(ledger.blocks(0))
    assert any(block.transactions for block in chain)
    read = hfc.together("query_block", *({"number": str(block.number)} for block in chain), shared=False)
    for block, answer in zip(chain, read, strict=True):
        seen = answer.returned
        hashes = (bytes.fromhex(seen[name]) for name in ("previous_hash", "data_hash"))
        assert BlockHeader(seen["number"], *hashes).hash() == block.header_hash
        valid = {item["id"] for item, code in zip(seen["transactions"], seen["codes"], strict=True) if code == 0}
        assert {item.tx_id for item in block.transactions if item.code == VALID} <= valid


def test_a_transaction_by_its_id_is_the_committed_one_in_the_same_block(ledger: Ledger, hfc: Hfc) -> None:
    tx_id = ledger.submit(*moved("https://by-id.example"))
    status = decided(ledger, tx_id)
    found = hfc.call("query_transaction", tx_id=tx_id).returned
    assert (found["id"], found["channel"], found["code"]) == (tx_id, ledger.channel, 0)
    block = hfc.call("query_block_by_txid", tx_id=tx_id).returned
    assert (status.code, status.block) == (VALID, block["number"])
    assert tx_id in [item["id"] for item in block["transactions"]]


def test_what_hfc_writes_one_call_at_a_time_is_verified_and_answered(ledger: Ledger, hfc: Hfc) -> None:
    height = ledger.height()
    url = "https://by-hfc.example"
    assert hfc.call("chaincode_invoke", **hfc.invocation(*moved(url))).raised == ""
    assert ledger.wait_for_block(height, timeout_s=10)
    (written,) = committed_from(ledger, height)
    assert (written.code, written.creator, written.name, written.arguments) == (VALID, MSP, *moved(url))
    answered = ledger.evaluate("QueryOrganization", {"msp": MSP})
    assert isinstance(answered, dict)
    assert answered["url"] == url


def test_misreport_a_refusal_of_the_contract_is_returned_as_the_result(ledger: Ledger, hfc: Hfc) -> None:
    height = ledger.height()
    name, arguments = encode(registration(MSP, "https://registered-already.example"))
    with pytest.raises(Conflict, match="registered already"):
        ledger.submit(name, arguments)
    outcome = hfc.call("chaincode_invoke", **hfc.invocation(name, arguments))
    assert outcome.raised == ""
    assert json.loads(outcome.returned)["reason"] == "registered"
    assert_nothing_else_came(ledger, height)


def test_misreport_the_gateway_ignores_the_name_and_returns_the_error_as_success(
    ledger: Ledger, fabric: NativeNetwork, tmp_path: Path
) -> None:
    height = ledger.height()
    hfc = hfc_of(fabric, MSP, tmp_path, named_by_host=True)
    name, arguments = moved("https://by-gateway.example")
    outcome = hfc.call("gateway_submit", contract=hfc.contract, name=name, args=[arguments.decode()])
    assert outcome.raised == ""
    assert json.loads(outcome.returned)["reason"] == "unknown-transaction", "it asks for one named invoke"
    assert_nothing_else_came(ledger, height)


def test_misreport_the_gateway_evaluates_nothing(fabric: NativeNetwork, hfc: Hfc, tmp_path: Path) -> None:
    hfc = hfc_of(fabric, MSP, tmp_path, named_by_host=True)
    query = jcs.canonical({"msp": MSP}).decode()
    outcome = hfc.call("gateway_evaluate", contract=hfc.contract, name="QueryOrganization", args=[query])
    assert (outcome.raised, outcome.text) == ("AttributeError", "'Network' object has no attribute 'channel3'")


def conflicting(ledger: Ledger, hfc: Hfc, attempt: str, *, shared: bool) -> tuple[int, int]:
    """Of two calls at once that write one key: how many hfc calls a success, and how many the ledger.

    Repeated until both were endorsed on the same state, so that the network refused one of them.
    """
    for number in range(PAIRS):
        height = ledger.height()
        pair = [hfc.invocation(*moved(f"https://{attempt}-{number}-{which}.example")) for which in "ab"]
        told = hfc.together("chaincode_invoke", *pair, shared=shared)
        codes = [item.code for item in committed_from(ledger, height)]
        if sorted(codes) == [CONFLICT, VALID]:
            return sum(not outcome.raised for outcome in told), codes.count(VALID)
    raise AssertionError("no pair was in conflict")


def test_two_calls_at_once_on_a_client_each_are_told_apart(ledger: Ledger, hfc: Hfc) -> None:
    assert conflicting(ledger, hfc, "each", shared=False) == (1, 1)


def test_misreport_two_calls_at_once_on_one_client_are_told_the_same(ledger: Ledger, hfc: Hfc) -> None:
    pairs = (conflicting(ledger, hfc, f"shared-{number}", shared=True) for number in range(PAIRS))
    assert any(told != committed for told, committed in pairs)


def test_misreport_transient_data_is_logged(hfc: Hfc) -> None:
    call = {**hfc.invocation("QueryOrganization", jcs.canonical({"msp": MSP})), "transient": {"record": SECRET}}
    (outcome,) = hfc.together("chaincode_query", call, debug=True)
    assert outcome.raised == ""
    assert SECRET in outcome.log


def test_the_users_key_is_kept_unencrypted_for_everybody_to_read(fabric: NativeNetwork, hfc: Hfc) -> None:
    hfc.call("query_block", number="0")
    (kept,) = hfc.store.iterdir()
    key = load_pem_private_key(fabric.layout.client(fabric.topology.organization(MSP)).key.read_bytes(), None)
    clear = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert clear in bytes.fromhex(kept.read_text())
    assert kept.stat().st_mode & 0o044 == 0o044
