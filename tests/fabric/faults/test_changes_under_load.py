"""Members come and go and the contract is upgraded while everybody works: no request is refused, no proof is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.receipt_form import Receipt, parse_receipt
from domain.receipts import verify_receipt
from network.topology import deployment
from network.topology.description import Organization
from network.topology.engine import Binaries
from network.topology.membership import add_organization, remove_organization
from network.topology.ports import free_ports
from network.verifier.content import CONFIGURATION, LIFECYCLE
from tests.fabric.faults.consortium import AWAY, HOME, THIRD, Consortium, consortium
from tests.fabric.faults.second_version import CONTRACT, MARK
from tests.fabric.faults.striking import Struck
from tests.faults.counts import repetitions
from tests.receipt_programs import check_verified
from tests.scenario.actors import eventually
from yilian.contract_versions import VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
CONTRACTS = f"2={CONTRACT}"
SLOW = {"not-fresh", "projection-behind"}
"""What a node says where it, a witness or a peer does not get so far in time."""


@pytest.fixture(scope="module")
def changing(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """Every witness, and this process as auditor, knows the second version before it is in force."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, CONTRACTS)
        with consortium(tmp_path_factory.mktemp("changing"), CONTRACTS) as running:
            yield Struck(running, tmp_path_factory.mktemp("exports"))


def test_a_hospital_joins_and_leaves_under_load(changing: Struck) -> None:
    running = changing.consortium
    huaxi = Organization("huaxi", "HuaxiMSP", free_ports(1))
    old = some_receipt(changing)
    changing.survive(
        "a hospital joins and leaves",
        lambda: add_organization(running.fabric, huaxi),
        lambda: remove_organization(running.fabric, huaxi.name),
    )
    check_troubles(changing)
    assert huaxi not in running.fabric.topology.organizations
    story = changing.story(THIRD)
    assert [str(item) for item in story.unlisted] == []
    assert story.passed_over == {CONFIGURATION, LIFECYCLE}
    assert verify_receipt(old, story.members(running.fabric.topology.channel)).signers


def test_the_contract_is_upgraded_under_load(changing: Struck) -> None:
    running, facts = changing.consortium, changing.facts
    record = facts.stored[min(facts.stored)][0]
    encoded = running.auditor.receipt("record", record)
    changing.survive("contract upgraded", lambda: deployment.upgrade(running.fabric, CONTRACT), lambda: None)
    assert deployment.definition_in_force(running.fabric).sequence == 2
    story = changing.story(THIRD)
    verified = verify_receipt(parse_receipt(encoded), story.members(running.fabric.topology.channel))
    assert HOME not in verified.signers
    check_stand_alone(running, encoded, changing.folder)
    wrote = [row for row in story.rows if row.name == "RequestAccess" and row.keys]
    marked = [any(key.startswith(MARK) for key in row.keys) for row in wrote]
    assert marked == sorted(marked)
    assert {False, True} == set(marked)
    assert {item.place for item in story.unlisted} == {"write key", f"value of {MARK}", "event"}


def check_stand_alone(running: Consortium, old: bytes, folder: Path) -> None:
    """An old receipt, and those that the patient's wallet gets now, convince the stand-alone verifiers."""
    members = folder / "members.json"
    members.write_bytes(running.wallet.members(HOME).file.encode())
    row = next(one.row.id for one in running.wallet.accesses(HOME) if one.row.organisation == AWAY)
    receipts = {
        "record": old,
        "write": running.wallet.receipt(HOME, "grant", running.granted.id)[0],
        "access-row": running.wallet.receipt(HOME, "access-row", row)[0],
    }
    for kind, encoded in receipts.items():
        file = folder / f"{kind}.json"
        file.write_bytes(encoded)
        said = check_verified(file, members)
        assert (said["kind"], said["single_operator"]) == (kind, False)
        assert HOME not in said["signers"]


def some_receipt(changing: Struck) -> Receipt:
    """Of a record that is there before the change."""
    running = changing.consortium
    record = next(iter(running.wallet.records(HOME))).record
    eventually(running.actors.archive.status, lambda now: now.witnessed == now.records > 0)
    return parse_receipt(running.auditor.receipt("record", record))


def check_troubles(changing: Struck) -> None:
    """Nobody was told to ask again; where others need the processors, too: but for what a slow machine says."""
    told = {what.split()[-1] for what in changing.facts.troubles}
    assert told <= (set() if repetitions(0, 1) else SLOW)
