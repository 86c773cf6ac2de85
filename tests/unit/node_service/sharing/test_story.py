"""Grant, open, read, verify, revoke: two hospitals on the real engines."""

from __future__ import annotations

import json

import pytest

from domain import statements
from domain.errors import Denied, Invalid, NotFound
from domain.identifiers import decode_bytes
from node_service.client import wire
from node_service.records.reading import open_version
from node_service.sharing import accesses, shared_reading
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, doctor, run


def test_a_granted_chart_is_read_elsewhere_with_the_custodians_exact_bytes(story: Story) -> None:
    grant = story.wallet.share(story.consortium[B])
    who = doctor()
    handle = run(
        accesses.open_access(
            story.consortium[B].node,
            who,
            wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"),
        )
    )
    chart = run(story.reading.chart(who, handle.id))
    shown = {item.entry.resource_type: item for item in chart.items}
    assert set(shown) == {"Encounter", "Condition", "Observation", "Organization"}
    for item in chart.items:
        own = open_version(story.consortium[A].node, item.entry.record)
        assert decode_bytes(item.content, "content", max_length=1 << 20) == own.content
        assert (item.digest, item.block > 0) == (own.digest, True)
    assert json.loads(decode_bytes(shown["Observation"].content, "content"))["valueQuantity"]["value"] == 151.5


def test_a_revoked_grant_is_refused_at_once_with_an_access_still_open(story: Story) -> None:
    grant = story.wallet.share(story.consortium[B])
    who = doctor()
    handle = run(
        accesses.open_access(
            story.consortium[B].node,
            who,
            wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"),
        )
    )
    assert run(story.reading.chart(who, handle.id)).items
    story.wallet.relay(statements.Revoke("grant", grant), through=story.consortium[B])
    with pytest.raises((Denied, NotFound)) as refused:
        run(story.reading.chart(who, handle.id))
    assert refused.value.reason == "not-active"


def test_a_chart_too_long_for_one_answer_is_refused_and_says_what_to_do(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = story.wallet.share(story.consortium[B])
    who = doctor()
    handle = run(
        accesses.open_access(
            story.consortium[B].node,
            who,
            wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT"),
        )
    )
    length = sum(len(decode_bytes(item.content, "content")) for item in run(story.reading.chart(who, handle.id)).items)
    monkeypatch.setattr(shared_reading, "MAX_CHART_BYTES", length)
    assert run(story.reading.chart(who, handle.id)).items
    monkeypatch.setattr(shared_reading, "MAX_CHART_BYTES", length - 1)
    with pytest.raises(Invalid, match="one by one"):
        run(story.reading.chart(who, handle.id))
