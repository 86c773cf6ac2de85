"""Two of three hospitals run an altered contract and commit what nobody signed: the third notices it in that block.

The policy asks for two endorsements, so Fabric finds these transactions valid.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaincode.contract import v1
from domain.errors import Denied, NotFound, Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.statements import Rotate, parse
from domain.transactions import AuthorizeAccess, OrganizationKey, RotateKey, UpdateOrganization
from network.blocks.proposal import Simulation
from network.blocks.transaction import Transaction
from network.topology.contract_service import ContractService
from network.topology.engine import Binaries
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.folder import read_blocks
from network.verifier.replay import StateView
from network.verifier.report import Rule
from network.witness.client import WitnessClient
from patient_wallet.drafts import GrantChoice, draft_grant
from patient_wallet.keys import HospitalKeys
from patient_wallet.registration import Registration
from tests.fabric.colluding import CONTRACT, VICTIM, Cheat
from tests.fabric.faults.consortium import AWAY, HOME, THIRD, Consortium, consortium
from tests.scenario.actors import eventually
from yilian.evil.malicious import fresh_id
from yilian.fabric_export import export_channel

pytestmark = [pytest.mark.fabric, pytest.mark.slow]


@dataclass(frozen=True)
class Scene:
    """A custodian that is honest, and two hospitals that are not."""

    consortium: Consortium
    cheat: Cheat
    access: str
    """Of an honest doctor under the patient's own grant, opened before anybody cheated."""
    folder: Path
    forgeries: list[str]
    """Ids of what was forged before."""

    def forge(self, transaction: AuthorizeAccess | RotateKey | UpdateOrganization) -> int:
        """Commits something forged; the number of its block."""
        self.forgeries.append(self.cheat.commit(transaction))
        return self.cheat.last_block

    def impostor(self, key_epoch: int | None = None) -> Registration:
        """The patient's registration with keys that the cheat made up."""
        genuine = self.consortium.wallet.registration(HOME)
        made_up = HospitalKeys(HOME, key_epoch or genuine.keys.key_epoch, os.urandom(32), os.urandom(32))
        return replace(genuine, keys=made_up)

    def grant(self, registration: Registration) -> AuthorizeAccess:
        """A grant to the cheat, signed by those keys."""
        draft = draft_grant(
            GrantChoice(grantee=AWAY), statement=fresh_id(), patient=registration.patient, custodian=HOME,
            salt=os.urandom(32), now=datetime.now(UTC),
        )  # fmt: skip
        signed = registration.sign(draft.terms, statement=draft.id, now=datetime.now(UTC))
        return AuthorizeAccess(signed.text, signed.signature)


@pytest.fixture(scope="module")
def scene(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("collusion")
    with consortium(folder) as running:
        access = running.actors.shared.open_access(running.granted.patient, running.granted.id, "TREAT").id
        for msp_id in (AWAY, THIRD):
            _alter(running, running.process("contract", msp_id))
        away = next(hospital for hospital in running.hospitals if hospital.msp_id == AWAY)
        cheat = Cheat(away, running.fabric.connection_file(AWAY), (AWAY, THIRD))
        yield Scene(running, cheat, access, tmp_path_factory.mktemp("exports"), [])


def _alter(running: Consortium, process: str) -> None:
    layout = running.fabric.layout
    running.fabric.stop(process)
    replace(ContractService.read(layout, process), contract=CONTRACT).write(layout, process)
    running.fabric.start(process)


def test_before_the_forgery_everybody_signs_and_the_patients_grant_opens_the_chart(scene: Scene) -> None:
    running = scene.consortium
    eventually(running.actors.archive.status, lambda now: now.witnessed == now.records > 0)
    assert all(hospital.witness is not None and hospital.witness.alarm() is None for hospital in running.hospitals)
    assert running.actors.shared.chart(scene.access).items
    assert running.wallet.members(HOME).file.ledger == "fabric"  # so that receipts do not say "single-operator"


def test_a_forged_grant_is_an_alarm_in_its_block_and_nothing_is_released_under_it(scene: Scene) -> None:
    running, forged = scene.consortium, scene.grant(scene.impostor())
    block = scene.forge(forged)
    opened = scene.cheat.open_access(scene.impostor().patient, _statement_id(forged), fresh_id())
    with pytest.raises((Tampered, Unavailable, Denied, NotFound)):
        scene.cheat.search(running.actors.home, opened)
    for hospital in running.hospitals:  # also of those who cheat: their witnesses are the product's
        witness = hospital.witness
        assert witness is not None
        assert eventually(witness.alarm, lambda alarm: alarm is not None) == f"{Rule.CONTRACT} at block {block}"
        with closing(WitnessClient(witness.url)) as client, pytest.raises(Unavailable):
            client.note()
    assert _alarm(running) == "witnesses"
    with pytest.raises((Tampered, Unavailable)):
        scene.cheat.search(running.actors.home, opened)


def test_under_the_alarm_even_the_patients_own_grant_releases_nothing(scene: Scene) -> None:
    """Whoever forges can also hide; a person has to look first."""
    with pytest.raises(Unavailable):
        scene.consortium.actors.shared.chart(scene.access)


def test_a_forged_key_rotation_is_named_with_its_block_and_its_keys_open_nothing(scene: Scene) -> None:
    thief, heir = scene.impostor(), scene.impostor(key_epoch=2)
    signed = thief.sign(Rotate(heir.keys.public), statement=fresh_id(), now=datetime.now(UTC))
    block = scene.forge(RotateKey(signed.text, signed.signature, heir.keys.sign(signed.text)))
    _check_named(scene, block)
    grant = scene.grant(heir)
    scene.forge(grant)
    opened = scene.cheat.open_access(heir.patient, _statement_id(grant), fresh_id())
    with pytest.raises((Tampered, Unavailable, Denied, NotFound)):
        scene.cheat.search(scene.consortium.actors.home, opened)


def test_a_forged_entry_in_the_registry_is_named_with_its_block(scene: Scene) -> None:
    """With a victim's signing key the cheat would be the victim towards everybody else."""
    key = OrganizationKey("signing", "Ed25519", "k9", encode_bytes(os.urandom(32)), "2026-01-01T00:00:00Z", None)
    block = scene.forge(UpdateOrganization("https://cheat.example", (key,)))
    _check_named(scene, block)


def _statement_id(forged: AuthorizeAccess) -> str:
    return parse(forged.statement).envelope.id


def _alarm(running: Consortium) -> str:
    """The alarm of the custodian's node."""
    archive = running.actors.archive
    found = eventually(lambda: archive.status().alarm, lambda alarm: alarm is not None)
    assert found is not None
    return found.split(":")[0]


def _check_named(scene: Scene, block: int) -> None:
    """Whoever verifies the chain and looks past the earlier forgeries stops at this one."""
    folder = scene.folder / str(block)
    export_channel(scene.consortium.fabric.connection_file(VICTIM), folder)
    earlier = set(scene.forgeries[:-1])
    with pytest.raises(Tampered) as caught:
        verify_chain(read_blocks(folder), replay=Forgiving(earlier))
    assert (caught.value.reason, caught.value.place) == (Rule.CONTRACT, f"block {block}")


class Forgiving:
    """The product's contract executed again, except where something is known to be forged."""

    def __init__(self, forgiven: set[str]) -> None:
        self._forgiven = forgiven
        self._replayer = ContractReplayer("yilian", {1: v1.invoke}.get)

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Simulation | None:
        return None if transaction.tx_id in self._forgiven else self._replayer(transaction, sequence, state)
