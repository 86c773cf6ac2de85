"""A custodian, or whoever sits between, that alters what was released: nothing is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from domain import leaves
from domain.errors import NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from node_service.client import exchange_wire, wire
from node_service.database.models import OpenedAccess
from node_service.sharing import accesses, shared_reading
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import B, LocalExchange, doctor, run

Alter = Callable[[exchange_wire.Released], exchange_wire.Released]


@dataclass
class AlteringExchange(LocalExchange):
    """Passes every release through ``alter``."""

    alter: Alter = lambda released: released

    async def release(self, custodian: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
        return self.alter(await super().release(custodian, body))


def reading(story: Story, alter: Alter) -> tuple[SharedReading, Practitioner, str]:
    """Shared reading at B over an altering exchange, under an open access."""
    node, who = story.consortium[B].node, doctor()
    grant = story.wallet.share(story.consortium[B])
    handle = run(
        accesses.open_access(node, who, wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"))
    )
    exchange = AlteringExchange(B, story.consortium.hospitals, alter)
    return SharedReading(node, exchange), who, handle.id


def each(change: Callable[[wire.SealedRecord], wire.SealedRecord]) -> Alter:
    return lambda released: released.model_copy(update={"items": [change(item) for item in released.items]})


def flipped(text: str) -> str:
    """The same base64url value with one bit of its middle byte turned."""
    raw = bytearray(decode_bytes(text, "value", max_length=1 << 20))
    raw[len(raw) // 2] ^= 1
    return encode_bytes(bytes(raw))


def with_flipped_path(item: wire.SealedRecord) -> wire.SealedRecord:
    assert item.path is not None
    return with_path(item, hashes=[flipped(one) for one in item.path.hashes])


def with_path(item: wire.SealedRecord, **changes: object) -> wire.SealedRecord:
    assert item.path is not None
    return item.model_copy(update={"path": item.path.model_copy(update=changes)})


def other_leaf(item: wire.SealedRecord) -> wire.SealedRecord:
    leaf = leaves.parse_record_leaf(decode_bytes(item.leaf, "leaf"))
    return item.model_copy(update={"leaf": encode_bytes(leaves.encode(_with_day(leaf)))})


def _with_day(leaf: leaves.RecordLeaf) -> leaves.RecordLeaf:
    return replace(leaf, day="2020-01-01")


ALTERATIONS: dict[str, Alter] = {
    "sealed bytes": each(lambda item: item.model_copy(update={"sealed": flipped(item.sealed or "")})),
    "leaf": each(other_leaf),
    "leaf that is none": each(lambda item: item.model_copy(update={"leaf": flipped(item.leaf)})),
    "path hash": each(with_flipped_path),
    "path index": each(lambda item: with_path(item, index=0 if item.path and item.path.index else 1)),
    "no path": each(lambda item: item.model_copy(update={"path": None})),
    "wrap": each(lambda item: item.model_copy(update={"wrap": flipped(item.wrap)})),
    "chunk list": each(lambda item: item.model_copy(update={"chunks": [flipped(one) for one in item.chunks]})),
    "object id": each(lambda item: item.model_copy(update={"object_id": item.entry.record})),
    "category": each(
        lambda item: item.model_copy(update={"entry": item.entry.model_copy(update={"category": "billing"})})
    ),
    "resource type": each(
        lambda item: item.model_copy(update={"entry": item.entry.model_copy(update={"resource_type": "Procedure"})})
    ),
    "session key": lambda released: released.model_copy(update={"session": flipped(released.session)}),
    "swapped wraps": lambda released: released.model_copy(
        update={
            "items": [
                item.model_copy(update={"wrap": released.items[number - 1].wrap})
                for number, item in enumerate(released.items)
            ]
        }
    ),
    "twice the same": lambda released: released.model_copy(update={"items": [*released.items, released.items[0]]}),
    "called a directory record": each(
        lambda item: item.model_copy(update={"entry": item.entry.model_copy(update={"kind": "directory"})})
    ),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_release_is_an_alarm_and_shows_nothing(lasting_story: Story, name: str) -> None:
    shared, who, access = reading(lasting_story, ALTERATIONS[name])
    with pytest.raises(Tampered):
        run(shared.chart(who, access))


def test_a_head_that_nobody_anchored_shows_nothing(story: Story) -> None:
    shared, who, access = reading(story, each(lambda item: with_path(item, size=10_000)))
    with pytest.raises((Tampered, Unavailable)):
        run(shared.chart(who, access))


def test_another_record_than_the_asked_one_is_an_alarm(story: Story) -> None:
    shared, who, access = reading(story, lambda released: released)
    wanted, other = story.records["Condition"].record, story.records["Observation"].record
    swapped: list[list[str]] = []

    async def release(custodian: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
        swapped.append(body.records)
        return await LocalExchange.release(exchange, custodian, body.model_copy(update={"records": [other]}))

    exchange = LocalExchange(B, story.consortium.hospitals)
    exchange_of = shared._exchange
    exchange_of.release = release  # type: ignore[method-assign]
    with pytest.raises(Tampered):
        run(shared.read(who, access, wanted))
    assert swapped == [[wanted]]


def test_a_withheld_record_is_counted_in_the_chart_and_absent_alone(story: Story) -> None:
    hidden = story.records["Observation"].record

    def withhold(released: exchange_wire.Released) -> exchange_wire.Released:
        kept = [item for item in released.items if item.entry.record != hidden]
        return released.model_copy(update={"items": kept})

    shared, who, access = reading(story, withhold)
    assert run(shared.chart(who, access)).withheld_or_absent == 1
    with pytest.raises(NotFound):
        run(shared.read(who, access, hidden))


def test_the_unaltered_release_is_shown(story: Story) -> None:
    shared, who, access = reading(story, lambda released: released)
    assert len(run(shared.chart(who, access)).items) == 4


def test_nothing_is_shown_where_the_own_access_row_cannot_be_written(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, who, access = reading(story, lambda released: released)

    def broken(*_: object) -> None:
        raise Unavailable("the access log cannot be written", reason="database")

    monkeypatch.setattr(shared_reading, "record_row", broken)
    with pytest.raises(Unavailable):
        run(shared.chart(who, access))
    with pytest.raises(Unavailable):
        run(shared.read(who, access, story.records["Condition"].record))


def test_only_the_practitioner_who_opened_reads_and_only_while_it_is_open(story: Story) -> None:
    shared, who, access = reading(story, lambda released: released)
    with pytest.raises(NotFound):
        run(shared.chart(doctor(), access))
    story.consortium.clock.advance(900)
    with pytest.raises(NotFound):
        run(shared.chart(who, access))


def test_the_one_use_key_is_destroyed_when_the_access_is_over(story: Story) -> None:
    node = story.consortium[B].node
    _, _, access = reading(story, lambda released: released)
    keys = accesses.OneUseKeys(node)
    keys.step(story.consortium.clock.now())
    with node.database.reading() as session:
        assert session.get_one(OpenedAccess, access).secret is not None
    story.consortium.clock.advance(900)
    keys.step(story.consortium.clock.now())
    with node.database.reading() as session:
        assert session.get_one(OpenedAccess, access).secret is None
