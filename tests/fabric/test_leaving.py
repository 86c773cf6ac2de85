"""A hospital with node and witness leaves a running channel: from its last block on it counts for nothing there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import httpx
import pytest

from domain import jcs
from domain.errors import OutcomeUnknown, Unavailable
from domain.identifiers import encode_bytes, identifier
from domain.receipt_form import Members, Receipt, parse_receipt
from domain.receipts import verify_receipt
from network.topology.engine import Binaries
from network.topology.membership import remove_organization
from node_service import secrets
from node_service.client.proofs import client_assertion
from node_service.client.transport import Transport
from node_service.organization_keys import sign, signing_kid
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.fabric.faults.claims import read_story
from tests.fabric.faults.consortium import AWAY, HOME, NAMES, THIRD, Consortium, person, settle
from tests.fabric.ordering import FOURTH, consensus
from tests.scenario.actors import PASSPHRASE, acting, eventually
from yilian.demo.fabric_ground import FabricGround
from yilian.demo.network import Hospital, WitnessProcess

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
LEAVING: Final = FOURTH
FIFTH: Final = "HuaxiMSP"
"""Under BFT four ordering nodes must remain; it runs no node."""
TIMEOUT_S: Final = 120.0
JSON: Final = {"Content-Type": "application/json"}
OK: Final = 200
NOT_AUTHENTICATED: Final = 401
_T = TypeVar("_T")


@pytest.fixture
def running(binaries: Binaries, tmp_path: Path) -> Iterator[Consortium]:
    """Four full members: node, witness, registered."""
    assert binaries.folder.is_dir()
    names = NAMES | {LEAVING: "Tongji"}
    ground = FabricGround(tmp_path / "fabric", [*names, *([FIFTH] if consensus() == "bft" else [])], consensus())
    with acting(tmp_path / "hospitals", names, witnesses=True, ground=ground) as actors:
        people = settle(actors, tmp_path / "wallet.json")
        yield Consortium(
            people.actors, people.wallet, people.granted, people.auditor, fabric=ground.network, ground=ground
        )


def test_a_full_member_that_leaves_is_not_asked_not_counted_and_opens_no_door(
    running: Consortium, tmp_path: Path
) -> None:
    file = tmp_path / "wallet.json"
    record, granted, shared = stored(running, 1), running.granted, running.actors.shared
    access = until(lambda: shared.open_access(granted.patient, granted.id, "TREAT")).id
    third, leaving = witness(running, THIRD), witness(running, LEAVING)
    third.stop()
    assert until(lambda: shared.chart(access)).items  # on the leaving hospital's word: nobody else is no party
    before = eventually(lambda: receipt(running, record), lambda told: {AWAY, LEAVING} <= signers(told, file))
    token = sign_in(running, LEAVING).json()["access_token"]
    assert knock(running, token) == OK

    remove_organization(running.fabric, running.fabric.topology.organization(LEAVING).name)
    for msp_id in (HOME, AWAY):
        eventually(lambda at=msp_id: status(running, at, LEAVING), lambda told: told == "left")  # type: ignore[misc]
    assert ask(leaving) == OK  # it is there, and says what it knows
    with pytest.raises(Unavailable) as unheard:
        shared.chart(access)
    assert unheard.value.reason == "no-witness"
    assert knock(running, token) == sign_in(running, LEAVING).status_code == NOT_AUTHENTICATED

    third.start(hospital(running, THIRD).environment)
    assert until(lambda: shared.chart(access)).items
    after = stored(running, 2)
    eventually(running.actors.archive.status, lambda now: now.witnessed == now.records)
    story = read_story(running, tmp_path / "story", THIRD)
    members = story.members(running.fabric.topology.channel)
    assert [one.msp for one in members.members] == sorted((HOME, AWAY, THIRD))
    assert told_members(file) == members
    for proof in (before, receipt(running, record), receipt(running, after)):
        assert AWAY in signers(proof, file)
        assert LEAVING not in signers(proof, file)


def stored(running: Consortium, number: int) -> str:
    """A record of somebody new at the custodian, witnessed."""
    report = until(lambda: running.actors.archive.ingest_fhir(person(number), source="his"))
    assert report.refused == []
    running.actors.wait_anchored()
    return report.stored[0].record


def receipt(running: Consortium, record: str) -> Receipt:
    return parse_receipt(until(lambda: running.auditor.receipt("record", record)))


def told_members(file: Path) -> Members:
    """Whom a wallet takes for members that was just opened."""
    opened = Vault.open(file, PASSPHRASE)
    wallet = Wallet(opened, lambda url: Transport(url, timeout_s=TIMEOUT_S), os.urandom, lambda: datetime.now(UTC))
    return wallet.members_anew(HOME).file


def signers(given: Receipt, file: Path) -> set[str]:
    """Who of them signed; the wallet verifies the receipt."""
    return set(verify_receipt(given, told_members(file)).signers)


def hospital(running: Consortium, msp_id: str) -> Hospital:
    (found,) = [one for one in running.hospitals if one.msp_id == msp_id]
    return found


def witness(running: Consortium, msp_id: str) -> WitnessProcess:
    found = hospital(running, msp_id).witness
    assert found is not None
    return found


def status(running: Consortium, at: str, msp_id: str) -> str:
    """What a hospital tells of another."""
    answer = httpx.get(f"{hospital(running, at).url}/registry/{msp_id}", timeout=TIMEOUT_S).json()
    return str(answer["status"])


def ask(asked: WitnessProcess) -> int:
    """Put a question to a witness; the status of its answer."""
    nonce = jcs.canonical({"nonce": encode_bytes(os.urandom(32))})
    return httpx.post(f"{asked.url}/answers", content=nonce, headers=JSON, timeout=TIMEOUT_S).status_code


def sign_in(running: Consortium, caller: str) -> httpx.Response:
    """Ask the custodian for a token, as a hospital with its own key."""
    keys = secrets.load(hospital(running, caller).folder)
    assertion = client_assertion(
        caller, signing_kid(keys), partial(sign, keys), audience=HOME, now_s=time.time()
    )  # fmt: skip
    body = {
        "grant_type": "client_credentials", "client_assertion": assertion,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }  # fmt: skip
    return httpx.post(f"{hospital(running, HOME).url}/exchange/token", json=body, timeout=TIMEOUT_S)


def knock(running: Consortium, token: str) -> int:
    """Tell the custodian of a record that it never had; the status of its answer."""
    notice = {"id": fresh(), "record": fresh(), "event": "superseded", "version": 1}
    url, headers = hospital(running, HOME).url, {"Authorization": f"Bearer {token}"}
    given = httpx.post(f"{url}/exchange/notices", json={"notices": [notice]}, headers=headers, timeout=TIMEOUT_S)
    return given.status_code


def fresh() -> str:
    return identifier(os.urandom(16))


def until(call: Callable[[], _T]) -> _T:
    """What real processes answer in the end."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return call()
        except (Unavailable, OutcomeUnknown):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
