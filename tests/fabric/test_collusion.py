"""Two of three hospitals run an altered contract and commit what nobody signed: the third notices it in that block.

The policy asks for two endorsements, so Fabric finds these transactions valid.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.contract import v1
from domain.errors import Denied, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.statements import Rotate, parse
from domain.transactions import AuthorizeAccess, OrganizationKey, RotateKey, UpdateOrganization
from network.topology.contract_service import ContractService
from network.topology.engine import Binaries
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from network.verifier.folder import read_blocks
from network.verifier.report import Rule
from network.witness.client import WitnessClient
from node_service.client.proofs import client_assertion
from node_service.client.wire import RecordPage
from patient_wallet.drafts import GrantChoice, draft_grant
from patient_wallet.keys import HospitalKeys
from patient_wallet.registration import Registration
from tests.fabric.colluding import CONTRACT, VICTIM, Cheat
from tests.fabric.faults.consortium import AWAY, HOME, THIRD, Consortium, consortium
from tests.scenario.actors import eventually
from yilian.demo.network import Hospital
from yilian.evil.malicious import fresh_id
from yilian.fabric_export import export_channel

KID: Final = "k9"
pytestmark = [pytest.mark.fabric, pytest.mark.slow]


@dataclass(frozen=True)
class Scene:
    """A custodian that is honest, and two hospitals that are not."""

    consortium: Consortium
    cheat: Cheat
    access: str
    """Of an honest doctor under the patient's own grant, opened before anybody cheated."""
    folder: Path

    @property
    def home(self) -> Hospital:
        """The custodian."""
        return self.consortium.actors.home

    def forge(self, transaction: AuthorizeAccess | RotateKey | UpdateOrganization) -> int:
        """Commits something forged; the number of its block."""
        self.cheat.commit(transaction)
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

    def search_under(self, grant: str) -> RecordPage:
        """What the cheat is told when it asks the custodian under a grant."""
        patient = self.consortium.granted.patient
        return self.cheat.search(self.home, self.cheat.open_access(patient, grant, fresh_id()))


@pytest.fixture
def scene(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Before any forgery: everybody signs, the patient's grant opens the chart, and the cheat's tools work."""
    with consortium(tmp_path_factory.mktemp("collusion")) as running:
        access = running.actors.shared.open_access(running.granted.patient, running.granted.id, "TREAT").id
        for msp_id in (AWAY, THIRD):
            _alter(running, running.process("contract", msp_id))
        away = next(hospital for hospital in running.hospitals if hospital.msp_id == AWAY)
        cheat = Cheat(away, running.fabric.connection_file(AWAY), (AWAY, THIRD))
        made = Scene(running, cheat, access, tmp_path_factory.mktemp("exports"))
        eventually(running.actors.archive.status, lambda now: now.witnessed == now.records > 0)
        assert all(hospital.witness is not None and hospital.witness.alarm() is None for hospital in running.hospitals)
        assert running.actors.shared.chart(access).items
        assert made.search_under(running.granted.id).items
        yield made


def _alter(running: Consortium, process: str) -> None:
    layout = running.fabric.layout
    running.fabric.stop(process)
    replace(ContractService.read(layout, process), contract=CONTRACT).write(layout, process)
    running.fabric.start(process)


def test_a_forged_grant_is_an_alarm_in_its_block_and_nothing_is_released_under_it(scene: Scene) -> None:
    assert (
        scene.consortium.wallet.members(HOME).file.ledger == "fabric"
    )  # so that receipts do not say "single-operator"
    forged = scene.grant(scene.impostor())
    block = scene.forge(forged)
    _check_refused(scene, forged)
    _check_alarm(scene, block)
    _check_refused(scene, forged)


def test_a_forged_key_rotation_is_an_alarm_in_its_block_and_its_keys_open_nothing(scene: Scene) -> None:
    thief, heir = scene.impostor(), scene.impostor(key_epoch=2)
    signed = thief.sign(Rotate(heir.keys.public), statement=fresh_id(), now=datetime.now(UTC))
    block = scene.forge(RotateKey(signed.text, signed.signature, heir.keys.sign(signed.text)))
    grant = scene.grant(heir)
    scene.forge(grant)
    _check_refused(scene, grant)
    _check_alarm(scene, block)
    _check_refused(scene, grant)


def test_a_forged_entry_in_the_registry_is_an_alarm_in_its_block_and_its_key_speaks_for_nobody(scene: Scene) -> None:
    """With a victim's signing key the cheat would be the victim towards everybody else."""
    forged, now = Ed25519PrivateKey.generate(), instant(datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(YilianError):
        _token_as_victim(scene, forged)
    public = encode_bytes(forged.public_key().public_bytes_raw())
    block = scene.forge(
        UpdateOrganization("https://cheat.example", (OrganizationKey("signing", "Ed25519", KID, public, now, None),))
    )
    _check_refused_as_victim(scene, forged)
    _check_alarm(scene, block)
    _check_refused_as_victim(scene, forged)
    with pytest.raises((Tampered, Unavailable)):
        scene.search_under(scene.consortium.granted.id)


def _token_as_victim(scene: Scene, key: Ed25519PrivateKey) -> str:
    """What opens the custodian's door in the victim's name."""
    claim = client_assertion(VICTIM, KID, key.sign, audience=HOME, now_s=time.time())
    return scene.cheat.token(scene.home, claim)


def _check_refused_as_victim(scene: Scene, key: Ed25519PrivateKey) -> None:
    """The forged key may open the door until the alarm, and no record comes out of it."""
    granted = scene.consortium.granted
    opened = scene.cheat.open_access(granted.patient, granted.id, fresh_id())
    with pytest.raises((Tampered, Unavailable, Denied, NotFound)):
        scene.cheat.search(scene.home, opened, token=_token_as_victim(scene, key))


def _check_refused(scene: Scene, forged: AuthorizeAccess) -> None:
    with pytest.raises((Tampered, Unavailable, Denied, NotFound)):
        scene.search_under(parse(forged.statement).envelope.id)


def _check_alarm(scene: Scene, block: int) -> None:
    """Every witness names the block and signs no more; the custodian's node stops; an auditor finds the same block."""
    running = scene.consortium
    for hospital in running.hospitals:  # also of those who cheat: their witnesses are the product's
        witness = hospital.witness
        assert witness is not None
        assert eventually(witness.alarm, lambda alarm: alarm is not None) == f"{Rule.CONTRACT} at block {block}"
        with closing(WitnessClient(witness.url)) as client, pytest.raises(Unavailable):
            client.note()
    alarm = eventually(lambda: running.actors.archive.status().alarm, lambda found: found is not None)
    assert alarm is not None
    assert alarm.startswith("witnesses:")
    with pytest.raises(Unavailable):  # whoever forges can also hide; a person has to look first
        running.actors.shared.chart(scene.access)
    export_channel(running.fabric.connection_file(VICTIM), scene.folder)
    with pytest.raises(Tampered) as caught:
        verify_chain(read_blocks(scene.folder), replay=ContractReplayer("yilian", {1: v1.invoke}.get))
    assert (caught.value.reason, caught.value.place) == (Rule.CONTRACT, f"block {block}")
