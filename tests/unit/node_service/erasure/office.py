"""The records office of a hospital: cases, and the background steps that carry them through, driven by hand."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain import statements
from domain.erasure import records_digest
from domain.errors import Unavailable
from domain.identifiers import encode_bytes, identifier
from node_service.client import erasure_wire, wire
from node_service.erasure import cases, certificates, deciding
from node_service.erasure.case_keeper import CaseKeeper
from node_service.erasure.corrections import Corrections
from node_service.erasure.notifier import Notifier
from node_service.erasure.remover import Remover
from node_service.ledger_sync.submission import Resubmitter
from node_service.sharing import accesses
from node_service.sharing.practitioners import Practitioner
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, Hospital, LocalExchange, Wallet, doctor, run

OFFICER = identifier(bytes(range(16)))
KEEP_NOTHING = """
version = 1
id = "nothing"
[[rules]]
id = "no-years"
keep_years = 0
from = "last-visit"
[rules.source]
title_en = "Test"
title_zh = "测试"
article_en = "1"
article_zh = "一"
"""


@dataclass
class Office:
    """Hospital A's office and steps; B's and C's outboxes run beside it."""

    story: Story
    unreachable: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    """Whom the notifier has called, in this order."""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The steps lose what they keep in memory, as in a new process."""
        self.remover = Remover(self.node)
        self.keeper = CaseKeeper(self.node)
        self.notifier = Notifier(self.node, self._telling)
        self.corrections = Corrections(self.node)

    @property
    def hospital(self) -> Hospital:
        return self.story.consortium[A]

    @property
    def node(self) -> Any:
        return self.hospital.node

    @property
    def patient(self) -> str:
        return self.story.wallet.patient

    def record(self, resource_type: str) -> str:
        return self.story.records[resource_type].record

    def ask(self, *records: str, wallet: Wallet | None = None, **changes: Any) -> wire.Committed:
        """The patient's statement about records."""
        body = request(wallet or self.story.wallet, *records, **changes)
        return run(cases.request_erasure(self.node, self.patient, body))

    def decide(self, case: str) -> erasure_wire.ErasureCase:
        deciding.decide_case(self.node, OFFICER, case)
        return self.case(case)

    def case(self, case: str) -> erasure_wire.ErasureCase:
        return certificates.case_of(self.node, case)

    def work(self, rounds: int = 4) -> None:
        """Let everything that waits go its way."""
        clock = self.story.consortium.clock
        for _ in range(rounds):
            self.story.consortium.follow()
            for msp_id in (A, B, C):
                Resubmitter(self.story.consortium[msp_id].node).step(clock.now())
            self.story.consortium.follow()
            for step in (self.remover, self.corrections, self.notifier, self.keeper):
                step.step(clock.now())
            clock.advance(1)
        self.hospital.settle()
        self.story.consortium.follow()

    def share(self) -> tuple[Practitioner, str]:
        """B's doctor has read the whole chart under a grant; return doctor and access."""
        reader = self.story.consortium[B]
        grant, who = self.story.wallet.share(reader), doctor()
        handle = run(
            accesses.open_access(
                reader.node, who, wire.OpenAccessBody(patient=self.story.wallet.patient, grant=grant, purpose="TREAT")
            )
        )
        assert run(self.story.reading.chart(who, handle.id)).items
        return who, handle.id

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[LocalExchange]:
        open_ones = {msp: one for msp, one in self.story.consortium.hospitals.items() if msp not in self.unreachable}
        yield _Reaching(A, open_ones, self.asked)


@dataclass
class _Reaching(LocalExchange):
    asked: list[str]

    async def deliver_notices(self, holder: str, body: Any) -> Any:
        self.asked.append(holder)
        if holder not in self.hospitals:
            raise Unavailable("nobody answers", reason="no-answer")
        return await super().deliver_notices(holder, body)


def request(wallet: Wallet, *records: str, digest: str | None = None, **changes: Any) -> erasure_wire.ErasureRequest:
    """A signed statement with what is behind its digest."""
    salt, ids = os.urandom(32), sorted(records)
    text, signature = wallet.sign(statements.Erasure(digest or records_digest(ids, salt)), **changes)
    return erasure_wire.ErasureRequest(statement=text, signature=signature, records=ids, salt=encode_bytes(salt))


def keep_nothing(directory: Path) -> str:
    """A hospital's own file of rules that keep nothing."""
    path = directory / "retention.toml"
    path.write_text(KEEP_NOTHING)
    return str(path)
