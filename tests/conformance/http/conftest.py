"""One hospital that serves, and the headers of everybody who may ask it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from network.embedded.founding import init
from node_service import organization_keys
from node_service.api.rate_limits import Rate
from node_service.api.services import Rates
from node_service.client import exchange_wire
from node_service.client.proofs import client_assertion
from node_service.client.transport import Transport
from node_service.client.wire import Token
from node_service.composition import SystemClock, build
from node_service.provisioning import initialise
from node_service.serving import server
from node_service.staff.roles import ROLES
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.scenario.network import PASSWORD, Hospital, eventually, make_settings
from tests.scenario.test_story import emergency_patient, enrolled

MSP_ID = "RenheMSP"
OFTEN = Rate(burst=1_000_000, per_s=1_000_000.0)


@dataclass
class Principals:
    """Makes the headers of a request for whoever may make it."""

    hospital: Hospital
    wallet: Wallet = field(repr=False)
    hospital_token: str = field(repr=False)

    def headers(self, method: str, path: str, role: str) -> dict[str, str]:
        """Of a wallet, a hospital, or somebody of the staff with the role."""
        if path.startswith("/wallet/"):
            client = self.wallet._hospitals.session(MSP_ID)
            return dict(client._authorise(method, self.hospital.url + path))
        token = self.hospital_token if path.startswith("/exchange/") else self.staff_token(role)
        return {"Authorization": f"Bearer {token}"}

    def staff_token(self, role: str) -> str:
        """A fresh session of a fresh account."""
        return self.hospital.session_of(sorted(ROLES) if role == "all" else [role])


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A hospital that lets one address ask as often as it likes."""
    directory = tmp_path_factory.mktemp("http")
    init(directory / "ledger", "yilian", [MSP_ID], clock=SystemClock(), random=os.urandom)
    settings = make_settings(directory, MSP_ID, "Renhe")
    initialise(settings, password=PASSWORD)
    running = build(settings, rates=Rates(sign_in=OFTEN, public=OFTEN))
    serving = server(running)
    thread = threading.Thread(target=serving.run, name="server-http")
    thread.start()
    eventually(lambda: serving.started or not thread.is_alive(), timeout_s=60)
    one = Hospital(settings, running, serving, thread)
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def principals(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Principals:
    """A patient's wallet, a hospital and the staff."""
    vault = Vault.create(tmp_path_factory.mktemp("wallet") / "wallet.json", "a passphrase for a test")
    create_wallet(vault, "english", os.urandom)
    wallet = Wallet(vault, Transport, os.urandom, lambda: datetime.now(UTC))
    patient, _ = emergency_patient(hospital)
    enrolled(hospital, wallet, patient)
    list(wallet.records(MSP_ID))
    return Principals(hospital, wallet, exchange_token(hospital))


def exchange_token(hospital: Hospital) -> str:
    """The token of a hospital: with one member it is its own."""
    secrets = hospital.running.node.secrets
    assertion = client_assertion(
        MSP_ID,
        organization_keys.signing_kid(secrets),
        lambda message: organization_keys.sign(secrets, message),
        audience=MSP_ID,
        now_s=time.time(),
    )
    body = exchange_wire.ExchangeToken(
        grant_type="client_credentials",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=assertion,
    )
    with Transport(hospital.url) as transport:
        answer = transport.call("POST", "/exchange/token", body=body)
    return Token.model_validate_json(answer.content).access_token
