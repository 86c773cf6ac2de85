"""One network of three hospitals for all stories."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node_service.client.transport import Transport
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.scenario.network import Hospital, consortium


@pytest.fixture(scope="session")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hospital]]:
    with consortium(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture(scope="session")
def renhe(hospitals: dict[str, Hospital]) -> Hospital:
    """The custodian in most stories."""
    return hospitals["RenheMSP"]


@pytest.fixture(scope="session")
def tongji(hospitals: dict[str, Hospital]) -> Hospital:
    """The reader in most stories."""
    return hospitals["TongjiMSP"]


@pytest.fixture
def new_wallet(tmp_path: Path) -> Callable[[], Wallet]:
    """Makes wallets with fresh words."""
    made = 0

    def make() -> Wallet:
        nonlocal made
        made += 1
        vault = Vault.create(tmp_path / f"wallet-{made}.json", "a passphrase for a test")
        create_wallet(vault, "english", os.urandom)
        return Wallet(vault, Transport, os.urandom, lambda: datetime.now(UTC))

    return make
