"""A theft counts as refused only where the right party refused it for the right kind of reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Conflict, Denied, NotFound, Unavailable, YilianError
from yilian.demo.report import StepFailed
from yilian.evil.limits import LIMITS
from yilian.evil.story import THEFTS, verify_expected
from yilian.evil.theft import Refusal, Theft, refused


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


def theft() -> Theft:
    """One that the contract is to refuse for its signature."""
    expected = Refusal("contract", "signature")
    return Theft("own-grant", "signs a grant", "自签授权", lambda _stage: expected, expected)


def test_where_exactly_it_was_refused_may_differ_from_run_to_run() -> None:
    verify_expected(theft(), Refusal("contract", "signature", "statement"))


@pytest.mark.parametrize(("by", "reason"), [("custodian", "signature"), ("contract", "grantee"), ("contract", "")])
def test_a_theft_that_fails_by_accident_fails_its_step(by: str, reason: str) -> None:
    with pytest.raises(StepFailed, match="the contract was expected to say signature"):
        verify_expected(theft(), Refusal(by, reason))


def test_every_theft_is_listed_with_who_refuses_and_why() -> None:
    assert [item.name for item in THEFTS if not (item.expected.by and item.expected.reason)] == []


def test_every_theft_and_every_limit_has_a_name_of_its_own() -> None:
    names = [item.name for item in (*THEFTS, *LIMITS)]
    assert len(names) == len(set(names))


def test_the_threat_model_lists_every_theft_with_its_refusal_and_every_limit() -> None:
    told = (Path(__file__).resolve().parents[4] / "docs" / "threat-model.md").read_text()
    _, _, section = told.partition("## Thefts that are tried live")
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{item.name}` | {item.english} | {item.expected.by} | `{item.expected.reason}` |" for item in THEFTS
    ]
    assert [item.name for item in LIMITS if f"`{item.name}`" not in section] == []
