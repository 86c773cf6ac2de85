"""An object that left before the erasure and arrives after its notice: nobody is shown what is erased."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from domain.errors import NotFound
from node_service.client import wire
from node_service.database.models import AccessRow
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
class Overtaken:
    """B's doctor with an open access, whose next answer comes after the record is erased and B was told."""

    office: Office
    who: Practitioner
    access: str
    record: str

    @property
    def reading(self) -> SharedReading:
        node, hospitals = self.office.story.consortium[B].node, self.office.story.consortium.hospitals
        return SharedReading(node, Late(B, hospitals, meanwhile=self._erase))

    def _erase(self) -> None:
        case = self.office.ask(self.record)
        self.office.decide(case.id)
        self.office.work()
        (item,) = self.office.case(case.id).items
        assert item.state == "erased"
        assert [(one.msp_id, one.reason) for one in item.missing] == [(B, "unknown-there")]

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
    body = wire.OpenAccessBody(patient=office.story.wallet.patient, grant=grant, purpose="TREAT")
    opened = run(accesses.open_access(reader.node, who, body))
    return Overtaken(office, who, opened.id, office.record("Observation"))


def test_a_record_that_was_erased_meanwhile_is_not_shown_and_not_called_read(overtaken: Overtaken) -> None:
    with pytest.raises(NotFound, match="meanwhile"):
        run(overtaken.reading.read(overtaken.who, overtaken.access, overtaken.record))
    assert overtaken.record not in overtaken.read_here()


def test_a_chart_leaves_out_what_was_erased_meanwhile(overtaken: Overtaken) -> None:
    chart = run(overtaken.reading.chart(overtaken.who, overtaken.access))
    shown = {one.entry.record for one in chart.items}
    assert shown
    assert overtaken.record not in shown
    assert chart.withheld_or_absent == 1
    assert shown == overtaken.read_here()
