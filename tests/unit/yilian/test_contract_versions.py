"""Which contract executes which definition: the product's own, and those that an operator names."""

from __future__ import annotations

import pytest

from chaincode.contract import v1
from domain.errors import Invalid
from yilian.contract_versions import VARIABLE, contract_replayer

SECOND = "tests.fabric.contracts:second"


def test_the_first_definition_is_executed_by_the_product_s_contract() -> None:
    versions = contract_replayer(environment={}).contract_for
    assert versions(1) is v1.invoke
    assert versions(2) is None


def test_a_later_definition_is_executed_by_the_code_that_is_named() -> None:
    from tests.fabric.contracts import first, second  # noqa: PLC0415 - they are found by name

    named = {VARIABLE: f"2={SECOND} 4=tests.fabric.contracts:first"}
    versions = contract_replayer(environment=named).contract_for
    assert [versions(sequence) for sequence in (1, 2, 3, 4)] == [v1.invoke, second, None, first]


@pytest.mark.parametrize(
    "text",
    [f"1={SECOND}", f"2={SECOND} 2={SECOND}", SECOND, "2=", "two=a:b", "2=no.such.module:second", "2=os:no_such"],
)
def test_what_is_no_later_contract_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        contract_replayer(environment={VARIABLE: text})
