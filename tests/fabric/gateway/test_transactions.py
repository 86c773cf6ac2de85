"""Evaluating and submitting on a real network; names of organisations that endorse."""

from __future__ import annotations

from pytest_bdd import parsers, scenarios, then, when

from tests.fabric.gateway.story import Story

scenarios("../features/transactions.feature", "../features/endorsement.feature")


@when(parsers.re(r"the user submits (?P<name>\w+) twice at once with (?P<arguments>\{.*\})"))
def _submit_twice(story: Story, name: str, arguments: str) -> None:
    """Both are endorsed on one state, so the second to be committed read what is not so any more."""
    story.commit("Put", arguments)
    endorsed = [story.propose(name, arguments).endorse() for _ in range(2)]
    commits = [transaction.submit() for transaction in endorsed]
    story.statuses = [commit.status() for commit in commits]


@then(parsers.parse("one is valid and one is refused with {code}"))
def _one_is_valid(story: Story, code: str) -> None:
    assert sorted(status.code_name for status in story.statuses) == sorted(["VALID", code])
    assert sorted(status.successful for status in story.statuses) == [False, True]
