"""The verifier's world state, against a plain dictionary."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from network.blocks.rwset import NamespaceRwset, Version, Write
from network.verifier.world_state import WorldState

KEYS = st.text(alphabet="ab\u00e9\u4e2d\U0001f600\0", max_size=3)
WRITES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.binary(min_size=1, max_size=2))), max_size=30)


@settings(max_examples=100, deadline=None)
@given(WRITES, KEYS, KEYS)
def test_reads_and_ranges_are_those_of_a_sorted_dictionary(
    writes: list[tuple[str, bytes | None]], start: str, end: str
) -> None:
    state, model = WorldState(), {}
    for number, (key, value) in enumerate(writes):
        version = Version(number, 0)
        state.apply((NamespaceRwset("cc", writes=(Write(key, value),)),), version)
        model[key] = (value, version)
    model = {key: entry for key, entry in model.items() if entry[0] is not None}
    for key, _ in writes:
        assert (state.get("cc", key), state.version("cc", key)) == model.get(key, (None, None))
    expected = sorted((key for key in model if key >= start and (not end or key < end)), key=lambda key: key.encode())
    assert list(state.scan("cc", start, end)) == [(key, model[key][1]) for key in expected]
    assert list(state.scan("other", start, end)) == []


def test_transactions_are_remembered_by_id() -> None:
    state = WorldState()
    state.add_transaction("id")
    assert state.has_transaction("id")
    assert not state.has_transaction("other")
