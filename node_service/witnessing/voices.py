"""Whose word decides how far the ledger is: that of other members' witnesses, or of the ledger itself in the demo.

Questions are asked on demand (ADR 0011). A question carries a fresh nonce, so its answer is younger than it by the own
monotonic clock; whoever comes within half a second after a question uses its answer too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from anyio import CapacityLimiter

from domain.errors import Unavailable, YilianError
from domain.identifiers import decode_bytes, encode_bytes
from domain.ports import Ledger, RandomSource, Voice
from domain.signed_texts import SignedText
from domain.witness_answers import NONCE_BYTES, Answer, verify_answer
from node_service.witnessing.members import Witness

WINDOW_S: Final = 0.5
PATIENCE_S: Final = 2.0
LINGER_S: Final = 0.1
"""How long others are waited for once somebody was heard who is no party: one slow witness delays nobody."""
_LOG: Final = logging.getLogger(__name__)
Ask = Callable[[str, str], Awaitable[SignedText]]
"""Puts a nonce to the witness at an address."""


def elapsed_s() -> float:
    """Seconds that never go back, and go on while the machine sleeps: what was fresh then is not fresh afterwards."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LedgerVoices:
    """The height in the ledger that all members share: the embedded one, whose operator is one anyway."""

    def __init__(self, ledger: Ledger, limiter: CapacityLimiter) -> None:
        self._ledger = ledger
        self._limiter = limiter

    async def ask(self, parties: frozenset[str]) -> Sequence[Voice]:
        """The last block of the shared ledger.

        Raises:
            Unavailable: the ledger is down.
        """
        asked_s = self.now_s()
        height = await anyio.to_thread.run_sync(self._ledger.height, limiter=self._limiter)
        return (Voice(height - 1, None, None, self._ledger.msp_id, asked_s),)

    def now_s(self) -> float:
        """As :func:`elapsed_s`."""
        return elapsed_s()


@dataclass(frozen=True, slots=True)
class _Heard:
    """A verified answer to a question of this process."""

    asked_s: float
    answer: Answer
    signed: SignedText

    def voice(self) -> Voice:
        header, validity = (decode_bytes(getattr(self.answer, name), name) for name in ("header", "validity"))
        return Voice(self.answer.block, header, validity, self.answer.msp, self.asked_s, self.signed)


@dataclass(frozen=True, slots=True)
class _Round:
    """Questions to all witnesses, asked together."""

    asked_s: float
    loop: asyncio.AbstractEventLoop
    questions: frozenset[asyncio.Task[None]]


class WitnessVoices:
    """The other members' witnesses.

    Args:
        channel: of the ledger.
        witnesses: who they are at present.
        ask: puts a question; its answer is verified here.
        now_s: the own clock, as :func:`elapsed_s`.
    """

    def __init__(
        self,
        channel: str,
        witnesses: Callable[[], Awaitable[Sequence[Witness]]],
        ask: Ask,
        random: RandomSource,
        now_s: Callable[[], float] = elapsed_s,
    ) -> None:
        self._channel, self._witnesses, self._ask, self._random, self._now_s = channel, witnesses, ask, random, now_s
        self._heard: dict[str, _Heard] = {}
        self._round: _Round | None = None

    def now_s(self) -> float:
        """The own clock."""
        return self._now_s()

    async def ask(self, parties: frozenset[str]) -> Sequence[Voice]:
        """All answers to questions that are at most half a second old when this is called, the highest block first.

        Raises:
            Unavailable: nobody was heard who is no party (``no-witness``).
        """
        since = self._now_s() - WINDOW_S
        fresh = self._fresh(parties, since)
        if not fresh:
            await self._listen(await self._questions(since), parties, since)
            fresh = self._fresh(parties, since)
        if not fresh:
            raise Unavailable(
                "no other hospital's witness answers, so nobody can say what is still permitted; try again shortly",
                reason="no-witness",
            )
        return fresh

    def _fresh(self, parties: frozenset[str], since: float) -> list[Voice]:
        """None where all that were heard are parties."""
        fresh = [heard for heard in self._heard.values() if heard.asked_s >= since]
        if all(heard.answer.msp in parties for heard in fresh):
            return []
        fresh.sort(key=lambda heard: (heard.answer.block, heard.answer.msp not in parties), reverse=True)
        return [one.voice() for one in fresh]

    async def _questions(self, since: float) -> frozenset[asyncio.Task[None]]:
        """The questions of a round that is young enough, or of a new one."""
        loop, known = asyncio.get_running_loop(), self._round
        if known is not None and known.asked_s >= since and known.loop is loop and not _is_over(known):
            return known.questions
        witnesses = await self._witnesses()
        asked_s = self._now_s()
        questions = frozenset(loop.create_task(self._question(one, asked_s)) for one in witnesses)
        self._round = _Round(asked_s, loop, questions)
        return questions

    async def _listen(self, pending: frozenset[asyncio.Task[None]], parties: frozenset[str], since: float) -> None:
        left: set[asyncio.Task[None]] = set(pending)
        end = time.monotonic() + PATIENCE_S
        while left and (wait := end - time.monotonic()) > 0:
            _, left = await asyncio.wait(left, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if self._fresh(parties, since):
                end = min(end, time.monotonic() + LINGER_S)

    async def _question(self, witness: Witness, asked_s: float) -> None:
        nonce = encode_bytes(self._random(NONCE_BYTES))
        try:
            signed = await self._ask(witness.url, nonce)
            answer = verify_answer(signed, channel=self._channel, msp_id=witness.msp_id, nonce=nonce, keys=witness.keys)
        except YilianError as error:
            _LOG.warning("the witness of %s was not heard: %s", witness.msp_id, error.reason)
            return
        known = self._heard.get(witness.msp_id)
        if known is None or known.asked_s <= asked_s:
            self._heard[witness.msp_id] = _Heard(asked_s, answer, signed)


def _is_over(known: _Round) -> bool:
    """Whoever finds no target in a finished round asks again."""
    return all(question.done() for question in known.questions)
