"""Revoke against release as a model: what is claimed holds in every interleaving, and each guard is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.models.revoke_against_release import ALL_GUARDS, Claim, Guard, explore
from node_service.witnessing import voices

TEXT = Path(__file__).resolve().parents[2] / "docs" / "models" / "revoke-against-release.md"
CLAIMED = (Claim.EFFECTIVE, Claim.WITNESSED, Claim.CUT_OFF)
NEEDED_FOR = {
    Guard.ASKED: Claim.CUT_OFF,
    Guard.THIRD: Claim.CUT_OFF,
    Guard.WINDOW: Claim.CUT_OFF,
    Guard.HIGHEST: Claim.WITNESSED,
    Guard.PROJECTED: Claim.WITNESSED,
    Guard.LAST_LOOK: Claim.EFFECTIVE,
    Guard.ONE_TRANSACTION: Claim.EFFECTIVE,
    Guard.EFFECTIVE: Claim.EFFECTIVE,
}


@pytest.mark.parametrize("claim", CLAIMED, ids=lambda claim: claim.name.lower())
def test_what_is_claimed_holds_in_every_interleaving_and_the_text_tells_how_many_states_that_are(claim: Claim) -> None:
    found = explore(claim)
    assert found.way is None
    assert f"| {claim.value} | holds | {found.states:,} |" in TEXT.read_text()


@pytest.mark.parametrize("guard", Guard, ids=lambda guard: guard.name.lower())
def test_without_a_guard_there_is_a_way_to_a_release_that_was_forbidden(guard: Guard) -> None:
    claim = NEEDED_FOR[guard]
    way = explore(claim, ALL_GUARDS - {guard}).way
    assert way is not None
    assert way[-1].endswith("and the key leaves")
    assert guard.value in TEXT.read_text()


def test_what_is_not_claimed_does_not_hold() -> None:
    found = explore(Claim.ANY_REQUEST)
    assert found.way is not None
    text = TEXT.read_text()
    assert all(f"{number}. {step}" in text for number, step in enumerate(found.way, 1))


def test_the_model_has_the_windows_of_the_code() -> None:
    assert voices.WINDOW_S == 0.5
