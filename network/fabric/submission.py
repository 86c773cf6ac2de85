"""Submitting with a certain outcome, whatever peer or orderer dies meanwhile.

1. Endorsement is asked of the own peer's gateway, then of the others'; a refusal of the contract is final if the own
   peer says so, or two other hospitals: one of them alone must not make a patient's revocation be given up.
2. The envelope is signed right after endorsement and its bytes are kept: they are the one transaction.
3. Ordering has a short deadline, because an orderer that forwards to a dead leader never answers.
4. A failed call is not a failed transaction: the commit status is asked, and then the same bytes are sent again, by
   the next peer. The channel takes them at most once: Raft marks the second copy DUPLICATE_TXID, BFT refuses it.
5. An acknowledged transaction is no committed one: a leader that dies may lose it (:mod:`network.fabric.accepted`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import grpc

from domain.errors import OutcomeUnknown, Unavailable
from network.fabric.answers import is_answer, is_taken, refusal, unavailable
from network.fabric.gateway import CommitStatusError, EndorseError, SubmitError, Transaction
from network.fabric.peers import Peer

ENDORSE_TIMEOUT_S: Final = 5.0
ENDORSING_S: Final = 12.0
ENDORSING_ROUNDS: Final = 2
SUBMIT_TIMEOUT_S: Final = 2.0
COMMIT_STATUS_TIMEOUT_S: Final = 0.5
ORDERING_S: Final = 10.0
PAUSE_S: Final = 0.2
REFUSING: Final = 2
"""So many hospitals beside the own one make a refusal final."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A transaction that the ordering service or a block has, as it was sent."""

    tx_id: str
    envelope: bytes = field(repr=False)


class Submitter:
    """Submits for one organisation through its peers. Threads share it.

    Args:
        peers: the own one first.
        now_s: seconds that never go back.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        peers: Iterable[Peer],
        msp: str,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._peers, self._msp = tuple(peers), msp
        self._now_s, self._sleep = now_s, sleep

    def submit(self, name: str, arguments: bytes) -> Ordered:
        """Endorse and broadcast; the transaction once the ordering service or a block has it.

        Raises:
            Invalid, Denied, NotFound, Conflict: the contract's own answer; nothing was broadcast.
            Unavailable: nothing was broadcast.
            OutcomeUnknown: it may be in a block, now or later.
        """
        proposal = self._peers[0].contract.new_proposal(name, arguments=[arguments])
        proposal.sign()
        return self.broadcast(self._endorsed(proposal.serialize()))

    def broadcast(self, transaction: Transaction) -> Ordered:
        """Sign an endorsed transaction and have it ordered.

        Raises:
            OutcomeUnknown: as :meth:`submit`.
        """
        transaction.sign()
        kept, tx_id = transaction.serialize(), transaction.transaction_id
        deadline, attempt = self._now_s() + ORDERING_S, 0
        while not self._ordered(self._peers[attempt % len(self._peers)], kept) and not self._is_in_block(tx_id):
            if self._now_s() >= deadline:
                raise OutcomeUnknown("the ordering service did not acknowledge the transaction in time", tx_id=tx_id)
            self._sleep(PAUSE_S)
            attempt += 1
        return Ordered(tx_id, kept)

    def send_again(self, envelope: bytes) -> bool:
        """Hand a signed transaction to the ordering service once more, by whichever peer can; False if none could."""
        return any(self._ordered(peer, envelope) for peer in self._peers)

    def _endorsed(self, proposal: bytes) -> Transaction:
        deadline = self._now_s() + ENDORSING_S
        failure = Unavailable("no peer endorses", reason="network")
        refusing = set[str]()
        for attempt in range(ENDORSING_ROUNDS * len(self._peers)):
            if attempt and attempt % len(self._peers) == 0:
                self._sleep(PAUSE_S)
            left = deadline - self._now_s()
            if left <= 0:
                break
            peer = self._peers[attempt % len(self._peers)]
            try:
                return peer.gateway.new_proposal(proposal).endorse(timeout_s=min(left, ENDORSE_TIMEOUT_S))
            except EndorseError as error:
                answer = refusal(error, self._msp)
                if answer is None or isinstance(answer, Unavailable):
                    failure = answer or unavailable(error)
                    continue
                refusing |= self._refusing(peer, error)
                if self._msp in refusing or len(refusing) >= REFUSING:
                    raise answer from error
                failure = unavailable(error)
        raise failure

    def _refusing(self, peer: Peer, error: EndorseError) -> set[str]:
        """The hospitals whose peers refused; what another one's gateway says of others is its own word only."""
        if peer.msp != self._msp:
            return {peer.msp}
        return {detail.msp_id for detail in error.details if is_answer(detail.message)} or {self._msp}

    def _ordered(self, peer: Peer, kept: bytes) -> bool:
        """Whether the ordering service says that it has the transaction."""
        try:
            peer.gateway.new_transaction(kept).submit(timeout_s=SUBMIT_TIMEOUT_S)
        except SubmitError as error:
            return is_taken(error)
        return True

    def _is_in_block(self, tx_id: str) -> bool:
        """Whether the first peer that answers has the transaction in a block; an unknown id is no answer in time."""
        for peer in self._peers:
            try:
                peer.network.get_commit(tx_id).status(timeout_s=COMMIT_STATUS_TIMEOUT_S)
            except CommitStatusError as error:
                if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                    return False
                continue
            return True
        return False
