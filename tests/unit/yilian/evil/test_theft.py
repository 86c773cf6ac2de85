"""A theft counts as refused only where the right party refused it for the right kind of reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Conflict, Denied, NotFound, Unavailable, YilianError
from yilian.demo.report import StepFailed
from yilian.evil.limits import LIMITS
from yilian.evil.story import THEFTS
from yilian.evil.theft import Refusal, refused


def raising(error: YilianError) -> object:
    """Fail as a hospital's answer does."""
    raise error


def test_a_refusal_names_who_and_why() -> None:
    found = refused("contract", lambda: raising(Denied("no", reason="signature")), Denied)
    assert found == Refusal("contract", "signature")


def test_a_theft_that_succeeds_fails_its_step() -> None:
    with pytest.raises(StepFailed, match="let it pass"):
        refused("custodian", lambda: "keys", Denied, NotFound)


def test_a_refusal_for_another_reason_is_none() -> None:
    with pytest.raises(StepFailed, match="another reason: Conflict used"):
        refused("custodian", lambda: raising(Conflict("used", reason="used")), Denied, NotFound)


@pytest.mark.parametrize("reason", ["no-answer", "deadline"])
def test_a_server_that_is_down_stops_no_thief(reason: str) -> None:
    with pytest.raises(StepFailed, match="did not answer"):
        refused("custodian", lambda: raising(Unavailable("down", reason=reason)), Unavailable)


def test_every_theft_and_every_limit_has_a_name_of_its_own() -> None:
    names = [item.name for item in (*THEFTS, *LIMITS)]
    assert len(names) == len(set(names))


def test_the_threat_model_names_every_theft_and_every_limit() -> None:
    told = (Path(__file__).resolve().parents[4] / "docs" / "threat-model.md").read_text()
    missing = [item.name for item in (*THEFTS, *LIMITS) if f"`{item.name}`" not in told]
    assert not missing
