"""What left before the erasure and arrives after its notice: nobody is shown what is erased, and nobody is accused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from domain.errors import NotFound, Tampered
from node_service.client import exchange_wire, wire
from node_service.database.models import AccessRow
from node_service.erasure import certificates
from node_service.ledger_sync import projection
from node_service.sharing import accesses, release
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.erasure.office import Office
from tests.unit.node_service.sharing.consortium import B, LocalExchange, doctor, run


@dataclass
class Late(LocalExchange):
    """Something happens at the custodian while the last object is on its way, whose release was verified before."""

    meanwhile: Callable[[], object] = field(kw_only=True)
    left: int = field(default=0, init=False)

    async def release(self, custodian: str, body: Any) -> Any:
        released = await super().release(custodian, body)
        self.left = sum(item.sealed is None for item in released.items)
        return released

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        part = await super().read_object(custodian, access, digest, offset, length)
        self.left -= 1
        if self.left == 0:
            await asyncio.to_thread(self.meanwhile)
        return part


@dataclass
class LateRelease(LocalExchange):
    """Something happens at the custodian while a release is on its way."""

    meanwhile: Callable[[], object] = field(kw_only=True)

    async def release(self, custodian: str, body: Any) -> Any:
        released = await super().release(custodian, body)
        await asyncio.to_thread(self.meanwhile)
        return released


@dataclass
class Repeating(LocalExchange):
    """A custodian that answers with what it released before, whatever became of it; it has seen what it is asked on."""

    before: list[exchange_wire.Released] = field(default_factory=list, init=False)

    async def release(self, custodian: str, body: Any) -> Any:
        if not self.before:
            self.before.append(await super().release(custodian, body))
        return self.before[0]


@dataclass
class Overtaken:
    """B's doctor with an open access, whose next answer comes after the record is erased and B was told."""

    office: Office
    who: Practitioner
    grant: str
    record: str
    access: str = ""

    def open(self) -> str:
        body = wire.OpenAccessBody(patient=self.office.patient, grant=self.grant, purpose="TREAT")
        return run(accesses.open_access(self.office.story.consortium[B].node, self.who, body)).id

    @property
    def reading(self) -> SharedReading:
        return self.over(Late(B, self.office.story.consortium.hospitals, meanwhile=self.erase))

    @property
    def late_release(self) -> LateRelease:
        return LateRelease(B, self.office.story.consortium.hospitals, meanwhile=self.erase)

    def over(self, exchange: LocalExchange) -> SharedReading:
        return SharedReading(self.office.story.consortium[B].node, exchange)

    def erase(self) -> None:
        case = self.office.ask(self.record)
        self.office.decide(case.id)
        self.office.work()
        (item,) = self.office.case(case.id).items
        assert item.state == "erased"

    def told(self) -> list[tuple[str, str]]:
        """Which hospitals did not attest, and why."""
        (case,) = certificates.cases_of_patient(self.office.node, self.office.patient)
        return [(one.msp_id, one.reason) for item in case.items for one in item.missing]

    def read_here(self) -> set[str]:
        """What B's own log says was read."""
        with self.office.story.consortium[B].node.database.reading() as session:
            rows = [json.loads(leaf) for leaf in session.scalars(select(AccessRow.leaf))]
        return {record for row in rows if row["action"] == "read" for record in row["records"]}


@pytest.fixture
def overtaken(office: Office, monkeypatch: pytest.MonkeyPatch) -> Overtaken:
    monkeypatch.setattr(release, "MAX_INLINE_TOTAL_BYTES", 0)
    reader = office.story.consortium[B]
    grant, who = office.story.wallet.share(reader), doctor()
    overtaken = Overtaken(office, who, grant, office.record("Observation"))
    overtaken.access = overtaken.open()
    return overtaken


def test_a_record_that_was_erased_meanwhile_is_not_shown_and_not_called_read(overtaken: Overtaken) -> None:
    with pytest.raises(NotFound, match="meanwhile"):
        run(overtaken.reading.read(overtaken.who, overtaken.access, overtaken.record))
    assert overtaken.record not in overtaken.read_here()
    assert overtaken.told() == [(B, "unknown-there")]


def test_a_chart_leaves_out_what_was_erased_meanwhile(overtaken: Overtaken) -> None:
    chart = run(overtaken.reading.chart(overtaken.who, overtaken.access))
    shown = {one.entry.record for one in chart.items}
    assert shown
    assert overtaken.record not in shown
    assert chart.withheld_or_absent == 1
    assert shown == overtaken.read_here()


def test_a_release_that_an_erasure_overtakes_accuses_nobody_and_shows_nothing(overtaken: Overtaken) -> None:
    with pytest.raises(NotFound, match="no such record"):
        run(overtaken.over(overtaken.late_release).read(overtaken.who, overtaken.access, overtaken.record))
    assert overtaken.record not in overtaken.read_here()


def test_a_chart_leaves_out_what_was_erased_while_its_release_was_on_its_way(overtaken: Overtaken) -> None:
    chart = run(overtaken.over(overtaken.late_release).chart(overtaken.who, overtaken.access))
    shown = {one.entry.record for one in chart.items}
    assert shown
    assert overtaken.record not in shown
    assert chart.withheld_or_absent == 1


def test_a_custodian_that_releases_what_the_ledger_ended_before_it_was_asked_is_accused(overtaken: Overtaken) -> None:
    reading = overtaken.over(Repeating(B, overtaken.office.story.consortium.hospitals))
    assert run(reading.read(overtaken.who, overtaken.access, overtaken.record))
    overtaken.erase()
    access = overtaken.open()
    with pytest.raises(Tampered, match="calls wrong"):
        run(reading.read(overtaken.who, access, overtaken.record))


def test_a_custodian_is_told_how_far_the_reader_has_seen_the_ledger(overtaken: Overtaken) -> None:
    """It answers on a view that has that block (``release``), so that what the reader knew before, it knew as well."""
    reader = overtaken.office.story.consortium[B]
    overtaken.erase()
    with reader.node.database.reading() as session:
        opening = accesses.own_opening(reader.node, session, overtaken.who.id, overtaken.access)
        assert opening.wire().block == projection.height(session) - 1
        entry = projection.transaction_of(session, "access", overtaken.access)
    assert entry is not None
    assert opening.block > entry.block
