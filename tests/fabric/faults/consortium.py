"""Three hospitals with nodes and witnesses over a Fabric network, a patient, and a doctor who reads elsewhere.

Under BFT a fourth member orders and endorses, without a node.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from domain.errors import OutcomeUnknown, YilianError
from network.fabric.connection import Connection
from network.topology.native import NativeNetwork
from node_service.client.node_client import StaffClient
from node_service.client.wire import PatientCard
from node_service.settings import PREFIX
from patient_wallet.drafts import GrantChoice
from patient_wallet.told import Granted
from patient_wallet.wallet import Wallet
from tests.fabric.ordering import FOURTH, consensus
from tests.line import Line
from tests.scenario.actors import Actors, acting, new_wallet
from yilian.contract_versions import VARIABLE
from yilian.demo.fabric_ground import FabricGround
from yilian.demo.network import Hospital

NAMES: Final = {"RenheMSP": "Renhe", "MingdeMSP": "Mingde", "AnkangMSP": "Ankang"}
HOME, AWAY, THIRD = NAMES
START_TIMEOUT_S: Final = 300.0
PAUSE_S: Final = 0.2
_T = TypeVar("_T")
CANARY: Final = "CANARY-readable-204"
"""A word in every record that must not be found in clear on any disk."""


@dataclass(frozen=True, slots=True)
class People:
    """A custodian whose patient granted a reader access.

    Attributes:
        granted: for the doctor; nobody revokes it.
        auditor: of the custodian.
    """

    actors: Actors
    wallet: Wallet = field(repr=False)
    granted: Granted
    auditor: StaffClient = field(repr=False)

    @property
    def card(self) -> PatientCard:
        """What the patient showed at the reader."""
        return self.wallet.registration(HOME).card

    @property
    def hospitals(self) -> list[Hospital]:
        """All, the custodian first."""
        return self.actors.network.hospitals


@dataclass(frozen=True, slots=True)
class Consortium(People):
    """The same on Fabric, with a third hospital whose witness both need; ``fabric`` are the processes to strike."""

    fabric: NativeNetwork
    ground: FabricGround

    def process(self, role: str, msp: str) -> str:
        """The name of a process of a hospital: its ``peer``, ``orderer`` or ``contract``."""
        return f"{role}-{self.fabric.topology.organization(msp).name}"


@dataclass(frozen=True, slots=True)
class Lines:
    """The custodian's lines: its node's to its own peer, and those of other hospitals and wallets to its node."""

    peer: Line
    node: Line


class Ground(FabricGround):
    """A network whose witnesses know the code of later definitions."""

    def __init__(self, folder: Path, contracts: str, lines: Lines | None) -> None:
        chosen = consensus()
        super().__init__(folder, [*NAMES, *([FOURTH] if chosen == "bft" else [])], chosen)
        self._contracts, self._lines = contracts, lines

    def node_settings(self, msp_id: str) -> Mapping[str, str]:
        """Witnesses are started with them too."""
        settings = {**super().node_settings(msp_id), VARIABLE.removeprefix(PREFIX): self._contracts}
        if self._lines is None:
            return settings
        settings["ALLOWED_NODES"] = ""  # any of this machine
        if msp_id == HOME:
            settings["PUBLIC_URL"] = self._lines.node.url
            settings["FABRIC_CONNECTION"] = str(self._by_line(Path(settings["FABRIC_CONNECTION"]), self._lines.peer))
        return settings

    def _by_line(self, direct: Path, line: Line) -> Path:
        connection = Connection.read(direct)
        host, _, port = connection.own_peer.address.rpartition(":")
        line.target = int(port)
        own = replace(connection.own_peer, address=f"{host}:{line.port}")
        path = direct.with_name(f"by-line-{direct.name}")
        path.write_bytes(replace(connection, own_peer=own).encode())
        return path


@contextmanager
def consortium(folder: Path, contracts: str = "", lines: Lines | None = None) -> Iterator[Consortium]:
    """From nothing to a grant that was confirmed; leaves no process behind.

    Args:
        contracts: code of later definitions of the contract, as ``YILIAN_CONTRACTS`` has it.
        lines: of the custodian, if they are to fail; whole until then.
    """
    ground = Ground(folder / "fabric", contracts, lines)
    own = {msp_id: ground.node_settings(msp_id) for msp_id in NAMES} if lines is not None else None
    with acting(folder, NAMES, witnesses=True, ground=ground, settings=own) as actors:
        if lines is not None:
            lines.node.target = actors.home.port
        people = settle(actors, folder.with_name(f"{folder.name}-wallet.json"))
        yield Consortium(
            people.actors, people.wallet, people.granted, people.auditor, fabric=ground.network, ground=ground
        )


def settle(actors: Actors, file: Path) -> People:
    """A patient with records, enrolled, with a wallet in that file, who granted the reader access."""
    stored = actors.archive.ingest_fhir(_history(), source="his")
    (patient,) = {ref.patient for ref in stored.stored}
    assert patient is not None
    wallet = new_wallet(file)
    with suppress(OutcomeUnknown):  # it is in a moment later
        wallet.enrol(actors.home.public_url, actors.registrar.issue_enrolment_code(patient).code)
    granted = _patiently(lambda: wallet.grant(HOME, GrantChoice(grantee=AWAY), actors.away.url))
    _patiently(lambda: _deliver(wallet))
    actors.shared.confirm_match(granted.patient, granted.id, None)
    auditor = actors.home.employ("auditor", "Auditor", "audit-administrator").client
    return People(actors, wallet, granted, auditor)


def _patiently(call: Callable[[], _T]) -> _T:
    """What a slow machine gives in the end."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return call()
        except YilianError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)


def _deliver(wallet: Wallet) -> None:
    for error in wallet.deliver_packages().values():
        raise error


def person(number: int) -> bytes:
    """A transaction Bundle of somebody new with :data:`RESOURCES` records; the same number is the same person."""
    patient = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    return _bundle(patient, f"p{number}", number)


RESOURCES: Final = 3


def _history() -> bytes:
    return _bundle("urn:uuid:11111111-0000-4000-8000-000000000000", "first", 999_999_999)


def _bundle(patient: str, name: str, number: int) -> bytes:
    subject = {"subject": {"reference": patient}}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": name, "name": [{"family": f"{CANARY}-{number}"}],
         "identifier": [{"system": "http://hospital.example/mrn", "value": f"MRN-{number}"}]},
        {"resourceType": "Observation", "status": "final", "code": {"text": CANARY}, **subject},
        {"resourceType": "Condition", "code": {"text": CANARY}, **subject},
    ]  # fmt: skip
    entries = [
        {"fullUrl": patient if at == 0 else f"urn:uuid:{number:08d}-0000-4000-8000-{at:012d}", "resource": one,
         "request": {"method": "POST", "url": one["resourceType"]}}
        for at, one in enumerate(resources)
    ]  # fmt: skip
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
