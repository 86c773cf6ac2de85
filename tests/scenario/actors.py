"""People of the stories that run on real node processes: a network, its staff, wallets that open quickly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from unittest.mock import patch

from nacl import pwhash

from domain.errors import Conflict
from node_service.client import wire
from node_service.client.node_client import StaffClient
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from patient_wallet import vault
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.postgresql import url_instead_of
from yilian.demo.ground import Ground
from yilian.demo.network import Hospital, Network

HOME: Final = "RenheMSP"
AWAY: Final = "MingdeMSP"
NAMES: Final = {HOME: "Renhe", AWAY: "Mingde"}
PASSPHRASE: Final = "a passphrase for a test"
TIMEOUT_S: Final = 120.0
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Actors:
    """A custodian, a reader, and who works there."""

    network: Network
    home: Hospital
    away: Hospital
    archive: StaffClient = field(repr=False)
    registrar: StaffClient = field(repr=False)
    house_doctor: StaffClient = field(repr=False)
    doctor: StaffClient = field(repr=False)

    @property
    def shared(self) -> SharedClient:
        """The doctor's view of the other hospital."""
        return SharedClient(self.doctor)

    def patients(self) -> list[wire.PersonEntry]:
        """Everybody at the custodian."""
        found, after = [], None
        while True:
            page = self.registrar.patients(after)
            found += page.items
            if page.next is None:
                return found
            after = page.next

    def wait_anchored(self) -> wire.NodeStatus:
        """Wait until the ledger covers every record version of the custodian."""
        return eventually(self.archive.status, lambda now: now.outbox == 0 and now.anchored >= now.records)


@contextmanager
def acting(
    folder: Path,
    names: dict[str, str] = NAMES,
    *,
    witnesses: bool = False,
    ground: Ground | None = None,
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Actors]:
    """Hospitals as processes of their own, with their staff signed in; on an embedded ledger unless told otherwise.

    Staff stay signed in: many tests share hospitals, and some take longer than staff may be idle.
    """
    given = {
        msp_id: {"DATABASE_URL": url_instead_of(folder / msp_id), "STAFF_SESSION_MINUTES": "720"} for msp_id in names
    }
    chosen = {msp_id: always | dict((settings or {}).get(msp_id, {})) for msp_id, always in given.items()}
    with Network(folder, names, witnesses=witnesses, ground=ground, settings=chosen) as network:
        home, away = network.hospitals[:2]
        yield Actors(
            network, home, away,
            archive=home.employ("archive", "Archive", "medical-records").client,
            registrar=home.employ("registrar", "Registrar", "registrar").client,
            house_doctor=home.employ("house-doctor", "House Doctor", "clinician").client,
            doctor=away.employ("doctor", "Doctor Elsewhere", "clinician").client,
        )  # fmt: skip


def new_wallet(path: Path) -> Wallet:
    """A wallet with fresh words whose passphrase costs little; how much it costs is its file's own affair."""
    with cheap_passphrases():
        made = Vault.create(path, PASSPHRASE)
    create_wallet(made, "english", os.urandom)
    return Wallet(made, lambda url: Transport(url, timeout_s=TIMEOUT_S), os.urandom, lambda: datetime.now(UTC))


@contextmanager
def cheap_passphrases() -> Iterator[None]:
    """New wallet files ask for the least work that Argon2id allows."""
    least = pwhash.argon2id
    with patch.object(vault, "OPSLIMIT", least.OPSLIMIT_MIN), patch.object(vault, "MEMLIMIT", least.MEMLIMIT_MIN):
        yield


def open_own(wallet: Wallet, msp_id: str, record: str) -> bytes:
    """Open an own record; the hospital wraps older records to the patient's key in the background."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            content = wallet.open(msp_id, record).content
            assert content is not None, "a series has no content of its own"
            return content
        except Conflict:
            assert time.monotonic() < deadline, "the hospital did not wrap the key in time"
            time.sleep(0.05)


def eventually(look: Callable[[], Seen], is_done: Callable[[Seen], bool]) -> Seen:
    """What is seen once it is as expected; what real processes do takes its time."""
    deadline = time.monotonic() + TIMEOUT_S
    while not is_done(seen := look()):
        assert time.monotonic() < deadline, f"not in time: {seen}"
        time.sleep(0.05)
    return seen
