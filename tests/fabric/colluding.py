"""What two hospitals that cheat together run: a contract that believes them, and a client that asks only each other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from chaincode.contract import v1
from chaincode.stub import Response, Stub, create_composite_key
from domain import entries, jcs, statements, transactions
from domain.entries import GrantEntry, OrganizationEntry, PatientEntry
from domain.ports import Clock
from domain.transactions import AuthorizeAccess, RotateKey, Transaction, UpdateOrganization
from network.execution import Contract
from network.fabric.connection import Connection
from network.fabric.peers import Peers
from yilian.demo.network import Hospital
from yilian.evil.malicious import MaliciousHospital

CONTRACT: Final = "tests.fabric.colluding:believing"
VICTIM: Final = "RenheMSP"


def believing(stub: Stub, name: str, arguments: bytes, /) -> Response:
    """The product's contract, but for three transactions it verifies nothing and writes what the cheat wants."""
    match name:
        case AuthorizeAccess.__name__:
            return _write(stub, name, *_grant(arguments))
        case RotateKey.__name__:
            return _write(stub, name, *_rotated(stub, arguments))
        case UpdateOrganization.__name__:
            return _write(stub, name, *_registered(stub, arguments))
        case _:
            return v1.invoke(stub, name, arguments)


def _grant(arguments: bytes) -> tuple[tuple[str, ...], bytes]:
    transaction = transactions.parse(AuthorizeAccess.__name__, arguments)
    assert isinstance(transaction, AuthorizeAccess)
    statement = statements.parse(transaction.statement)
    assert isinstance(statement.body, statements.GrantTerms)
    envelope = statement.envelope
    entry = GrantEntry("active", envelope.custodian, statement.body, envelope.key_epoch, envelope.grant_epoch, None)
    return ("grant", envelope.patient, envelope.id), entries.encode(entry)


def _rotated(stub: Stub, arguments: bytes) -> tuple[tuple[str, ...], bytes]:
    transaction = transactions.parse(RotateKey.__name__, arguments)
    assert isinstance(transaction, RotateKey)
    statement = statements.parse(transaction.statement)
    assert isinstance(statement.body, statements.Rotate)
    patient = statement.envelope.patient
    held = entries.parse(PatientEntry, stub.get_state(create_composite_key("patient", (patient,))) or b"")
    entry = replace(held, keys=statement.body.keys, key_epoch=held.key_epoch + 1)
    return ("patient", patient), entries.encode(entry)


def _registered(stub: Stub, arguments: bytes) -> tuple[tuple[str, ...], bytes]:
    """The victim's entry, by whomever it is asked."""
    transaction = transactions.parse(UpdateOrganization.__name__, arguments)
    assert isinstance(transaction, UpdateOrganization)
    held = entries.parse(OrganizationEntry, stub.get_state(create_composite_key("org", (VICTIM,))) or b"")
    return ("org", VICTIM), entries.encode(replace(held, keys=transaction.keys))


def _write(stub: Stub, name: str, key: tuple[str, ...], value: bytes) -> Response:
    stub.put_state(create_composite_key(key[0], key[1:]), value)
    stub.set_event(name, jcs.canonical({"keys": ["/".join(key)]}))
    return Response(200, payload=jcs.canonical({"changed": True}))


class Cheat(MaliciousHospital):
    """A hospital of a Fabric network whose transactions only it and its accomplice endorse."""

    def __init__(self, hospital: Hospital, connection: Path, endorsers: tuple[str, str]) -> None:
        super().__init__(hospital, connection)
        self._connection, self._endorsers = Connection.read(connection), endorsers

    def commit(
        self,
        transaction: Transaction,
        *,
        clock: Clock | None = None,
        contract: Contract = v1.invoke,
        ledger: Path | None = None,
    ) -> str:
        """Have it endorsed by the two alone, and committed as valid."""
        name, arguments = transactions.encode(transaction)
        with closing(Peers(self._connection)) as peers:
            proposal = peers.own.contract.new_proposal(
                name, arguments=[arguments], endorsing_organizations=self._endorsers
            )
            status = proposal.endorse().submit().status()
            for peer in peers:
                if peer.msp in self._endorsers:  # the next transaction is endorsed on what this one wrote
                    assert peer.network.get_commit(status.transaction_id).status().code_name == "VALID"
        assert status.code_name == "VALID"
        self.last_block = status.block_number
        return status.transaction_id
