"""One scenario: a user at a gateway, what the next transaction carries, and what came of the last one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from domain import jcs
from network.fabric.connection import Connection, PeerAddress
from network.fabric.gateway import (
    Contract,
    Deadlines,
    Gateway,
    GatewayError,
    Identity,
    Network,
    Proposal,
    Signer,
    Status,
    connect,
    tls_channel,
)
from network.topology.native import NativeNetwork
from tests.fabric.gateway.identities import user_of

PATIENT = Deadlines(evaluate_s=30, endorse_s=30, submit_s=15, commit_status_s=30)


@dataclass
class Story:
    """Attributes:
    elsewhere: what signs offline, where the gateway has no signer.
    organizations, transient: of every transaction from here on.
    answer, error, statuses: of the last one.
    """

    network: NativeNetwork
    closing: ExitStack
    channel: str = "yilian"
    chaincode: str = ""
    elsewhere: Signer | None = None
    organizations: tuple[str, ...] = ()
    transient: dict[str, bytes] = field(default_factory=dict)
    answer: bytes | None = None
    error: GatewayError | None = None
    statuses: list[Status] = field(default_factory=list)
    kept: bytes = b""
    identity: Identity | None = None
    signer: Signer | None = None
    gateway: Gateway | None = None

    def connect(self, msp: str, at: str, *, signs: bool = True) -> None:
        """The user of an organisation turns to the peer of one."""
        self.identity, signer = user_of(self.network, msp)
        self.signer = signer if signs else None
        self.turn_to(at)

    def turn_to(self, at: str) -> None:
        assert self.identity is not None
        self.gateway = self.gateway_at(at, self.identity, self.signer)

    def gateway_at(self, msp: str, identity: Identity, signer: Signer | None) -> Gateway:
        address = self.peer(msp)
        channel = self.closing.enter_context(tls_channel(address.address, address.tls_root.read_bytes()))
        return self.closing.enter_context(connect(channel, identity, signer, deadlines=PATIENT))

    def peer(self, msp: str) -> PeerAddress:
        return Connection.read(self.network.connection_file(msp)).own_peer

    @property
    def here(self) -> Gateway:
        assert self.gateway is not None
        return self.gateway

    @property
    def ledger(self) -> Network:
        return self.here.get_network(self.channel)

    @property
    def contract(self) -> Contract:
        return self.ledger.get_contract(self.chaincode)

    def invoke(self, how: str, name: str, arguments: str) -> None:
        """Evaluates or submits; an error of the client is kept for the next step."""
        self.answer, self.error = None, None
        run = {
            ("evaluates", False): self._evaluate,
            ("submits", False): self._submit,
            ("evaluates", True): self._evaluate_offline,
            ("submits", True): self._submit_offline,
        }[how, self.elsewhere is not None]
        try:
            self.answer = run(name, arguments)
        except GatewayError as error:
            self.error = error

    def commit(self, name: str, arguments: str) -> Status:
        """Submits a transaction that must become valid."""
        _, commit = self.contract.submit_async(name, arguments=[encoded(arguments)])
        status = commit.status()
        assert status.successful, status
        self.statuses = [status]
        return status

    def propose(self, name: str, arguments: str) -> Proposal:
        return self.contract.new_proposal(name, arguments=[encoded(arguments)], **self._options())

    def fail(self) -> GatewayError:
        assert self.error is not None, f"it did not fail; the answer is {self.answer!r}"
        return self.error

    def _options(self) -> dict[str, Any]:
        return {"transient": self.transient, "endorsing_organizations": self.organizations}

    def _evaluate(self, name: str, arguments: str) -> bytes:
        return self.contract.evaluate(name, arguments=[encoded(arguments)], **self._options())

    def _submit(self, name: str, arguments: str) -> bytes:
        return self.contract.submit(name, arguments=[encoded(arguments)], **self._options())

    def _sign_elsewhere(self, digest: bytes) -> bytes:
        assert self.elsewhere is not None
        return self.elsewhere(digest)

    def _proposal_offline(self, name: str, arguments: str) -> Proposal:
        proposal = self.propose(name, arguments)
        return self.here.new_signed_proposal(proposal.serialize(), self._sign_elsewhere(proposal.digest))

    def _evaluate_offline(self, name: str, arguments: str) -> bytes:
        return self._proposal_offline(name, arguments).evaluate()

    def _submit_offline(self, name: str, arguments: str) -> bytes:
        endorsed = self._proposal_offline(name, arguments).endorse()
        transaction = self.here.new_signed_transaction(endorsed.serialize(), self._sign_elsewhere(endorsed.digest))
        pending = transaction.submit()
        commit = self.here.new_signed_commit(pending.serialize(), self._sign_elsewhere(pending.digest))
        assert commit.status().successful
        return transaction.result


def encoded(arguments: str) -> bytes:
    """JSON of a scenario in the canonical form that the contract reads; what is none goes as it is."""
    return jcs.canonical(json.loads(arguments)) if arguments.startswith("{") else arguments.encode()


def msps(names: str) -> Sequence[str]:
    """MSP ids from ``Renhe, Mingde`` or ``RenheMSP, MingdeMSP``."""
    return [name.strip().removesuffix("MSP") + "MSP" for name in names.split(",")]
