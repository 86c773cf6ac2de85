"""Revoke against release as a model: what is claimed holds in every interleaving, and each guard is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.models.revoke_against_release import ALL_GUARDS, TICK_S, WINDOW, WITHIN, Claim, Guard, explore
from node_service.witnessing import freshness, voices

TEXT = Path(__file__).resolve().parents[2] / "docs" / "models" / "revoke-against-release.md"
A_KEY_GOES = ("lets the key go", "and the key leaves")
NEEDED_FOR = {
    Guard.ASKED: Claim.CUT_OFF,
    Guard.THIRD: Claim.CUT_OFF,
    Guard.WINDOW: Claim.LATER,
    Guard.HIGHEST: Claim.WITNESSED,
    Guard.PROJECTED: Claim.WITNESSED,
    Guard.AGAIN: Claim.WITNESSED,
    Guard.LAST_LOOK: Claim.EFFECTIVE,
    Guard.ONE_TRANSACTION: Claim.EFFECTIVE,
    Guard.EFFECTIVE: Claim.EFFECTIVE,
}
TOLD = (Guard.ASKED, Guard.AGAIN)
"""Whose ways the text tells step by step."""


@pytest.mark.parametrize("claim", Claim, ids=lambda claim: claim.name.lower())
def test_what_is_claimed_holds_in_every_interleaving_and_the_text_tells_how_many_states_that_are(claim: Claim) -> None:
    found = explore(claim)
    assert found.way is None
    assert f"| {claim.value} | holds | {found.states:,} |" in TEXT.read_text()


@pytest.mark.parametrize("guard", Guard, ids=lambda guard: guard.name.lower())
def test_without_a_guard_there_is_a_way_to_a_release_that_was_forbidden(guard: Guard) -> None:
    claim = NEEDED_FOR[guard]
    way = explore(claim, ALL_GUARDS - {guard}).way
    assert way is not None
    assert way[-1].endswith(A_KEY_GOES)
    assert guard.value in TEXT.read_text()


@pytest.mark.parametrize("guard", TOLD, ids=lambda guard: guard.name.lower())
def test_the_text_tells_the_ways_that_were_found(guard: Guard) -> None:
    way = explore(NEEDED_FOR[guard], ALL_GUARDS - {guard}).way
    assert way is not None
    assert "".join(f"{number}. {step}\n" for number, step in enumerate(way, 1)) in TEXT.read_text()


def test_the_model_has_the_windows_of_the_code() -> None:
    assert (voices.WINDOW_S, freshness.RELEASE_WITHIN_S) == (WINDOW * TICK_S, WITHIN * TICK_S)
