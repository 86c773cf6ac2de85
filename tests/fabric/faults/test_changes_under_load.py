"""Members come and go and the contract is upgraded while everybody works: no request is refused, no proof is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.receipt_form import parse_receipt
from domain.receipts import verify_receipt
from network.topology import deployment
from network.topology.description import Organization
from network.topology.engine import Binaries
from network.topology.membership import add_organization, remove_organization
from network.topology.ports import free_ports
from tests.fabric.faults.claims import read_story
from tests.fabric.faults.consortium import HOME, THIRD, consortium
from tests.fabric.faults.second_version import CONTRACT, MARK
from tests.fabric.faults.striking import Struck
from yilian.contract_versions import VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
CONTRACTS = f"2={CONTRACT}"


@pytest.fixture(scope="module")
def changing(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """Every witness, and this process as auditor, knows the second version before it is in force."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, CONTRACTS)
        with consortium(tmp_path_factory.mktemp("changing"), CONTRACTS) as running:
            yield Struck(running, tmp_path_factory.mktemp("exports"))


def test_a_hospital_joins_and_leaves_under_load(changing: Struck) -> None:
    fabric = changing.consortium.fabric
    huaxi = Organization("huaxi", "HuaxiMSP", free_ports(1))
    changing.survive(
        "a hospital joins and leaves",
        lambda: add_organization(fabric, huaxi),
        lambda: remove_organization(fabric, huaxi.name),
    )
    assert huaxi not in fabric.topology.organizations


def test_the_contract_is_upgraded_under_load(changing: Struck) -> None:
    running, facts = changing.consortium, changing.facts
    record = facts.stored[min(facts.stored)][0]
    receipt = parse_receipt(running.auditor.receipt("record", record))
    changing.survive("contract upgraded", lambda: deployment.upgrade(running.fabric, CONTRACT), lambda: None)
    assert deployment.definition_in_force(running.fabric).sequence == 2
    story = read_story(running, changing.folder / "upgraded", THIRD)
    verified = verify_receipt(receipt, story.members(running.fabric.topology.channel))
    assert HOME not in verified.signers
    wrote = [row for row in story.rows if row.name == "RequestAccess" and row.keys]
    marked = [any(key.startswith(MARK) for key in row.keys) for row in wrote]
    assert marked == sorted(marked)
    assert {False, True} == set(marked)
