"""The endorsing peers: they execute a proposal on a consistent snapshot and sign what it would write.

One execution serves every organisation's peer, because all of them stand on the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaincode import stub
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered
from domain.ports import Clock
from network.blocks import lifecycle, proposal, rwset
from network.blocks.channel_config import ChannelConfig
from network.blocks.member import Member, verify_member
from network.blocks.proposal import Endorsement, Proposal, Simulation, build_response_payload
from network.blocks.signature import Signer
from network.embedded.database import Database
from network.embedded.state import StoredState
from network.execution import Contract, creator_of, moment, read_invocation, simulation_of, verify_time
from network.refusal import contract_error


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A proposal with its creator's signature over the serialized proposal."""

    proposal: Proposal
    signature: bytes


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A proposal, what the peers signed, and their signatures."""

    proposal: Proposal
    response_payload: bytes
    endorsements: tuple[Endorsement, ...]


@dataclass(frozen=True, slots=True)
class ContractState:
    """The contract's namespace as :class:`chaincode.stub.StateReader`."""

    state: StoredState
    namespace: str

    def get(self, key: str) -> stub.StateValue | None:
        found = self.state.value(self.namespace, key)
        return None if found is None else stub.StateValue(found[0], stub.Version(*found[1]))

    def range(self, start: str, end: str) -> Iterator[tuple[str, stub.StateValue]]:
        for key, value, version in self.state.range(self.namespace, start, end):
            yield key, stub.StateValue(value, stub.Version(*version))

    def history(self, key: str) -> Iterator[stub.KeyModification]:
        for past in self.state.history(self.namespace, key):
            yield stub.KeyModification(past.tx_id, moment(past.timestamp_ns), past.value)


class Endorser:
    """The peers of all organisations over one file.

    Args:
        peers: who signs endorsements.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        config: ChannelConfig,
        contract: Contract,
        peers: Sequence[Signer],
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._channel = channel
        self._config = config
        self._contract = contract
        self._peers = tuple(peers)
        self._clock = clock

    def endorse(self, signed: SignedProposal) -> Endorsed:
        """Executes and signs as every organisation's peer.

        Raises:
            Denied: the creator is no member of the channel, or the proposal is over 60 s away from the peers' clock.
            Invalid, Denied, NotFound, Conflict: the contract's own answer.
            Unavailable: the file cannot be read, or the contract failed.
        """
        member = self._verify(signed)
        simulation, version = self._simulate(signed.proposal, member)
        payload = build_response_payload(signed.proposal, simulation, version=version)
        endorsements = tuple(proposal.endorse(payload, peer) for peer in self._peers)
        return Endorsed(signed.proposal, payload, endorsements)

    def evaluate(self, query: Proposal) -> bytes:
        """Executes without signing anything and gives the contract's answer.

        Raises:
            Denied, Invalid, NotFound, Conflict, Unavailable: as :meth:`endorse`.
        """
        simulation, _ = self._simulate(query, verify_member(query.creator, self._config.msps))
        return simulation.response.payload

    def _verify(self, signed: SignedProposal) -> Member:
        asked = signed.proposal
        member = verify_member(asked.creator, self._config.msps)
        try:
            member.verify_signature(signed.signature, asked.serialize())
        except Tampered as error:
            raise Denied("the proposal is not signed by its creator", reason="bad-signature") from error
        if asked.channel != self._channel:
            raise Invalid("the proposal is for another channel", reason="other-channel", place="channel")
        verify_time(asked.timestamp_ns, self._clock.now())
        return member

    def _simulate(self, asked: Proposal, member: Member) -> tuple[Simulation, str]:
        with self._database.snapshot() as connection:
            state = StoredState(connection)
            if state.has_transaction(asked.tx_id):
                raise Conflict("there is a transaction of this id", reason="duplicate-transaction")
            definition = lifecycle.read_definition(lambda key: state.get(lifecycle.NAMESPACE, key), asked.chaincode)
            if definition is None:
                raise NotFound("the channel has no such contract", reason="no-contract", place=asked.chaincode)
            result = self._execute(asked, member, state)
            return _simulation(result, asked.chaincode, state), definition.version

    def _execute(self, asked: Proposal, member: Member, state: StoredState) -> stub.SimulationResult:
        name, arguments = read_invocation(asked.args)
        transaction = stub.TransactionStub(
            ContractState(state, asked.chaincode),
            tx_id=asked.tx_id,
            timestamp=moment(asked.timestamp_ns),
            channel=asked.channel,
            creator=creator_of(member.identity),
        )
        response = self._contract(transaction, name, arguments)
        if response.status >= stub.ERROR_STATUS:
            raise contract_error(response.status, response.message)
        return transaction.result(response)


def _simulation(result: stub.SimulationResult, contract: str, state: StoredState) -> Simulation:
    """The peer itself reads the definition's sequence number beside what the contract reads."""
    sequence = lifecycle.sequence_key(contract)
    definition = rwset.Read(sequence, state.version(lifecycle.NAMESPACE, sequence))
    return simulation_of(contract, result, rwset.NamespaceRwset(lifecycle.NAMESPACE, reads=(definition,)))
