"""A ledger of three hospitals with the product's contract, and witnesses over it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.identifiers import encode_bytes
from domain.receipt_form import Member, Members
from domain.transactions import OrganizationKey, RegisterOrganization, UpdateOrganization, encode
from network.embedded.founding import init
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.raw_blocks import RawBlockFile
from network.verifier.channel_file import read_channel_file
from network.verifier.replay import ContractReplay
from network.verifier.source import RawBlocks
from network.witness.database import WitnessDatabase
from network.witness.folder import WitnessIdentity, WitnessKey
from network.witness.witness import Witness
from yilian.contract_versions import contract_replayer

CHANNEL = "yilian"
HOSPITALS = ("AMSP", "BMSP", "CMSP")


class StandingClock:
    """Time stands until the test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def witness_key(msp_id: str) -> WitnessKey:
    return WitnessKey(msp_id.encode().ljust(32, b"."))


def registration(msp_id: str, url: str | None = None) -> RegisterOrganization:
    public = encode_bytes(WitnessKey(msp_id.encode().ljust(32, b"+")).public)
    signing = OrganizationKey("signing", "Ed25519", "k1", public, "2026-01-01T00:00:00Z", None)
    public = encode_bytes(witness_key(msp_id).public)
    witness = OrganizationKey("witness", "Ed25519", "w1", public, "2026-01-01T00:00:00Z", None)
    return RegisterOrganization(url or f"https://{msp_id.lower()}.example", (signing, witness))


@dataclass(slots=True)
class World:
    """A ledger's folder, what is written to it, and the witnesses that were opened over it or over copies."""

    folder: Path
    clock: StandingClock = field(default_factory=StandingClock)
    opened: list[RawBlockFile | WitnessDatabase] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def submit(self, msp_id: str, url: str | None = None, *, ledger: Path | None = None) -> None:
        """The first call of a hospital registers it, a later one changes its address."""
        with EmbeddedLedger(ledger or self.ledger, msp_id, self.clock, os.urandom) as channel:
            entry = registration(msp_id, url)
            changed = entry if url is None else UpdateOrganization(entry.url, entry.keys)
            channel.submit(*encode(changed))

    def fork(self) -> Path:
        """A copy of the ledger as it is, which will go on in another way."""
        copy = self.folder / f"fork{len(list(self.folder.iterdir()))}"
        shutil.copytree(self.ledger, copy)
        return copy

    def source(self, ledger: Path | None = None) -> RawBlockFile:
        source = RawBlockFile(ledger or self.ledger)
        self.opened.append(source)
        return source

    def witness(
        self,
        msp_id: str,
        *,
        ledger: Path | None = None,
        source: RawBlocks | None = None,
        database: Path | None = None,
        replay: ContractReplay | None = None,
        key: WitnessKey | None = None,
    ) -> Witness:
        """A witness, as a start of its process makes it."""
        channel = read_channel_file(Layout(ledger or self.ledger).channel)
        identity = WitnessIdentity(channel.channel, channel.contract, channel.genesis, msp_id)
        kept = WitnessDatabase(database or self.folder / f"{msp_id}.db")
        self.opened.append(kept)
        return Witness(
            identity, key or witness_key(msp_id), source or self.source(ledger), kept, replay or contract_replayer()
        )

    def followed(self, msp_id: str, *, ledger: Path | None = None, database: Path | None = None) -> Witness:
        """A witness that has caught up."""
        witness = self.witness(msp_id, ledger=ledger, database=database)
        catch_up(witness)
        return witness


def catch_up(witness: Witness) -> None:
    now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    while witness.step(now) == now:
        pass


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    init(made.ledger, CHANNEL, list(HOSPITALS), clock=made.clock, random=os.urandom)
    for msp_id in HOSPITALS:
        made.submit(msp_id)
    yield made
    for opened in made.opened:
        opened.close()


@pytest.fixture
def members() -> Members:
    keys = tuple(Member(msp_id, (encode_bytes(witness_key(msp_id).public),)) for msp_id in HOSPITALS)
    return Members(CHANNEL, "embedded", keys)
