"""What people of the hospitals do all the time: write, ask, read, grant, revoke, and try what was revoked.

A request that is answered "later" or "unknown" is made again, as people do; every other refusal is a finding. Once
there is a finding nobody goes on, and no later fault of the same hospitals is tried.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from domain.errors import Denied, NotFound, OutcomeUnknown, Unavailable, YilianError
from domain.identifiers import identifier
from node_service.client import wire
from patient_wallet.drafts import GrantChoice
from patient_wallet.told import Granted
from tests.fabric.faults.consortium import AWAY, HOME, People, person
from tests.fabric.faults.facts import Ended, Facts
from tests.faults.counts import repetitions

WRITERS: Final = 2
STORED, ASKED, READ, GRANTED, OPENED, REVOKED = "stored", "asked", "read", "granted", "opened", "revoked"
KINDS: Final = (STORED, ASKED, READ, GRANTED, OPENED, REVOKED)
COMMITTED: Final = (ASKED, GRANTED, OPENED, REVOKED)
"""Kinds whose answer says that something is valid on the ledger."""
LATER: Final = (Unavailable, OutcomeUnknown)
PAUSE_S: Final = 0.1
"""Before a request is made again."""
THOUGHT_S: Final = repetitions(5, 1) / 10
"""Between one request and the next: two processors are not to be full all the time, but in soak."""
ANSWER_TIMEOUT_S: Final = repetitions(300, 900)
"""Longer than any fault lasts."""
WARM_TIMEOUT_S: Final = 300.0
_TRIED_AT_ONCE: Final = 3
_T = TypeVar("_T")


@dataclass
class Load:
    """The people at work; threads of their own.

    Attributes:
        again: how a request is refused that people make again.
    """

    consortium: People
    facts: Facts
    again: tuple[type[YilianError], ...] = LATER
    _ending: threading.Event = field(default_factory=threading.Event)

    def threads(self) -> list[threading.Thread]:
        """One per person."""
        work = [self._store] * WRITERS + [self._ask, self._read, self._change_mind, self._try_ended]
        return [threading.Thread(target=self._again, args=(one,), name=one.__name__, daemon=True) for one in work]

    def end(self) -> None:
        """Everybody ends what they have begun."""
        self._ending.set()

    def _again(self, once: Callable[[], None]) -> None:
        while not self._ending.is_set():
            try:
                once()
            except (AssertionError, YilianError) as error:
                self.facts.found(f"{once.__name__}: {type(error).__name__}: {error}")
                return
            self._ending.wait(THOUGHT_S)

    def _until(self, kind: str, call: Callable[[], _T]) -> _T:
        """The answer to a request that is made until there is one."""
        begun = time.monotonic()
        while True:
            try:
                done = call()
            except self.again as error:
                self.facts.troubles[f"{kind} {error.reason}"] += 1
                if self.facts.findings or time.monotonic() > begun + ANSWER_TIMEOUT_S:
                    raise
                time.sleep(PAUSE_S)
            else:
                self.facts.answered(kind, begun)
                return done

    # --- At the custodian -------------------------------------------------------------------------------------------

    def _store(self) -> None:
        number = next(self.facts.numbers)
        archive = self.consortium.actors.archive
        report = self._until(STORED, lambda: archive.ingest_fhir(person(number), source="his"))
        assert not report.refused
        self.facts.stored[number] = [ref.record for ref in report.stored]

    # --- At the reader ----------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """For somebody whom nobody knows, so that it is a transaction and nothing else."""
        shared = self.consortium.actors.shared
        card = self.consortium.card.model_copy(update={"patient": identifier(os.urandom(16))})
        body = wire.AccessRequest(card=card, purpose="TREAT", categories=["result"], message="", valid_hours=1)
        done = self._until(ASKED, lambda: shared.request_access(body))
        self.facts.committed[done.tx_id] = done.id

    def _read(self) -> None:
        """Under an access that is opened again once it is over."""
        shared, granted = self.consortium.actors.shared, self.consortium.granted
        self._chart(self._until("reopened", lambda: shared.open_access(granted.patient, granted.id, "TREAT")).id)

    def _chart(self, access: str) -> None:
        chart = self._until(READ, lambda: self.consortium.actors.shared.chart(access))
        assert chart.items
        self.facts.served.append((access, tuple(item.entry.record for item in chart.items)))

    # --- The patient ------------------------------------------------------------------------------------------------

    def _change_mind(self) -> None:
        """Grants, lets the doctor read, and revokes."""
        actors, wallet = self.consortium.actors, self.consortium.wallet
        granted = self._until(GRANTED, lambda: wallet.grant(HOME, GrantChoice(grantee=AWAY), actors.away.url))
        self.facts.committed[granted.tx_id] = granted.id
        self._until("confirmed", lambda: self._confirmed(granted))
        opened = self._until(OPENED, lambda: actors.shared.open_access(granted.patient, granted.id, "TREAT"))
        self.facts.committed[opened.tx_id] = opened.id
        self._chart(opened.id)
        self._until(REVOKED, lambda: self._revoked(granted.id))
        self.facts.ended.append(Ended(granted.id, opened.id))

    def _confirmed(self, granted: Granted) -> None:
        if self.consortium.wallet.deliver_packages():
            raise Unavailable("the package is not delivered yet", reason="not-delivered")
        self.consortium.actors.shared.confirm_match(granted.patient, granted.id, None)

    def _revoked(self, grant: str) -> None:
        """The custodian said that it is effective, or shows it as revoked."""
        wallet = self.consortium.wallet
        (present,) = (entry for entry in wallet.grants(HOME).grants if entry.id == grant)
        if present.status != "revoked" and wallet.revoke(HOME, grant).state != "effective":
            raise Unavailable("the revocation is not known to be effective", reason="not-effective")

    def _try_ended(self) -> None:
        for ended in self.facts.ended[-_TRIED_AT_ONCE:]:
            self.try_ended(ended)

    def try_ended(self, ended: Ended) -> None:
        """Nobody reads under it any more."""
        try:
            chart = self.consortium.actors.shared.chart(ended.access)
        except (Denied, NotFound, Unavailable, OutcomeUnknown):
            return
        assert not chart, f"read under {ended.grant} after it was revoked"


@contextmanager
def load(consortium: People, facts: Facts, again: tuple[type[YilianError], ...] = LATER) -> Iterator[Load]:
    """Everybody works while the block runs; at its start and its end each kind of request is answered."""
    people = Load(consortium, facts, again)
    threads = people.threads()
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        facts.wait_for(KINDS, begun, WARM_TIMEOUT_S)
        yield people
    finally:
        people.end()
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    assert not [thread.name for thread in threads if thread.is_alive()], "somebody got no answer"
