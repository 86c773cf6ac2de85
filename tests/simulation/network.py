"""The channel between hospitals: an ordering service, peers that get blocks late, witnesses that are late or silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from domain.errors import Unavailable
from domain.ports import CommittedBlock, Voice
from domain.validity import BEFORE_GENESIS, validity_after
from network.embedded.ledger import EmbeddedLedger
from tests.simulation.faults import Faults, Place
from tests.simulation.scheduler import Scheduler

AT_ONCE_S: Final = (0.0, 0.05)
LATE_S: Final = (0.5, 6.0)


class Network:
    """Who has seen how many blocks; ``grown`` is told whose peer got one."""

    def __init__(self, scheduler: Scheduler, faults: Faults, orderer: EmbeddedLedger, members: tuple[str, ...]) -> None:
        self._scheduler, self._faults, self._orderer = scheduler, faults, orderer
        self.peers = dict.fromkeys(members, orderer.height())
        self.witnesses = dict(self.peers)
        self.headers: list[bytes] = []
        self.validity: list[bytes] = []
        self._take(orderer.blocks(0))
        self.grown: Callable[[str], None] = lambda _msp_id: None

    def order(self, envelope: bytes, seconds: float) -> None:
        """Order an envelope now, or after so many seconds."""
        if seconds > 0:
            self._later("ordering", lambda: self._order(envelope), seconds)
        else:
            self._order(envelope)

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """What was ordered."""
        if start < len(self.headers):
            yield from self._orderer.blocks(start)

    def witnessed(self, *parties: str) -> int:
        """Blocks that every witness has seen whose member is no party."""
        return min((seen for msp_id, seen in self.witnesses.items() if msp_id not in parties), default=0)

    def silent(self) -> bool:
        """Whether a witness does not answer this question."""
        return self._faults.strikes("witness-silent")

    def close(self) -> None:
        """Let go of the file."""
        self._orderer.close()

    def _order(self, envelope: bytes) -> None:
        self._orderer.broadcast(envelope)
        self._take(self._orderer.blocks(len(self.headers)))
        height = len(self.headers)
        for msp_id in self.peers:
            self._deliver(self.peers, msp_id, height, "peer-late")
            self._deliver(self.witnesses, msp_id, height, "witness-late")

    def _take(self, blocks: Iterator[CommittedBlock]) -> None:
        for block in blocks:
            before = self.validity[-1] if self.validity else BEFORE_GENESIS
            self.headers.append(block.header_hash)
            self.validity.append(validity_after(before, block.header_hash, block.valid))

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self._scheduler.now

    def _deliver(self, seen: dict[str, int], msp_id: str, height: int, late: str) -> None:
        def arrive() -> None:
            seen[msp_id] = max(seen[msp_id], height)
            if seen is self.peers:
                self.grown(msp_id)

        chance = self._faults.chance
        after = chance.uniform(*LATE_S) if self._faults.strikes(late) else chance.uniform(*AT_ONCE_S)
        self._later(f"block {height} to {msp_id}", arrive, after)

    def _later(self, name: str, call: Callable[[], None], seconds: float) -> None:
        self._scheduler.spawn(name, self._scheduler.network, call, after=seconds)


class SimulatedVoices:
    """What the other members' witnesses say, some of them late, some not at all."""

    def __init__(self, msp_id: str, place: Place, network: Network) -> None:
        self._msp_id, self._place, self._network = msp_id, place, network

    async def ask(self, parties: frozenset[str]) -> list[Voice]:
        """Whoever answers, the highest block first, if one of them is no party."""
        self._place.point()
        heard = {
            msp_id: seen
            for msp_id, seen in self._network.witnesses.items()
            if msp_id != self._msp_id and not self._network.silent()
        }
        if not set(heard) - parties:
            raise Unavailable("no other hospital's witness answers", reason="no-witness")
        highest_first = sorted(((seen, msp_id) for msp_id, seen in heard.items()), reverse=True)
        now_s = self.now_s()
        headers, validity = self._network.headers, self._network.validity
        return [Voice(seen - 1, headers[seen - 1], validity[seen - 1], msp_id, now_s) for seen, msp_id in highest_first]

    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self._network.now_s
