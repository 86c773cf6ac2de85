"""Hospitals outside the demo: they call each other by https, with certificates of an authority of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from domain.errors import Unavailable
from node_service.client.authorities import CA_FILE, read_authorities
from node_service.client.transport import Transport
from patient_wallet.drafts import GrantChoice
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.scenario.actors import PASSPHRASE, TIMEOUT_S, Actors, acting, cheap_passphrases, eventually
from tests.scenario.test_wallet_commands import LANGUAGES, Terminal
from tests.tls_proxy import TlsProxy, tls_proxy
from tests.unit.chaincode.service.test_tls import Side
from yilian.demo.network import Hospital
from yilian.language import text
from yilian.main import build

NAMES = {"RenheMSP": "Renhe", "MingdeMSP": "Mingde", "AnkangMSP": "Ankang"}
HOME, AWAY, THIRD = NAMES
pytestmark = [pytest.mark.slow, pytest.mark.sqlite]


@dataclass(frozen=True)
class Consortium:
    """A patient of the custodian, granted to the reader; a proxy before each node and each witness.

    Attributes:
        own, other: files of the consortium's authority, and of another.
    """

    actors: Actors
    nodes: dict[str, TlsProxy]
    witnesses: dict[str, TlsProxy]
    own: Path
    other: Path
    wallet: Path
    patient: str
    grant: str
    access: str

    def chart(self) -> int:
        """How much the doctor elsewhere sees."""
        return len(self.actors.shared.chart(self.access).items)


def settings_of(msp_id: str, nodes: dict[str, TlsProxy], witnesses: dict[str, TlsProxy], own: Path) -> dict[str, str]:
    return {
        "PROFILE": "pilot",
        "PUBLIC_URL": nodes[msp_id].url,
        "WITNESS_URL": witnesses[msp_id].url,
        "WITNESS_API_URL": witnesses[msp_id].url,
        "ALLOWED_NODES": " ".join(proxy.url for proxy in (*nodes.values(), *witnesses.values())),
        "CA_FILE": str(own),
    }


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    folder = tmp_path_factory.mktemp("https")
    side, own, other = Side.make("Consortium"), folder / "own.pem", folder / "other.pem"
    own.write_bytes(side.authority.certificate_pem())
    other.write_bytes(Side.make("Stranger").authority.certificate_pem())
    files = side.write(folder, None)
    with ExitStack() as opened:
        nodes = {msp_id: opened.enter_context(tls_proxy("", files)) for msp_id in NAMES}
        witnesses = {msp_id: opened.enter_context(tls_proxy("", files)) for msp_id in NAMES}
        chosen = {msp_id: settings_of(msp_id, nodes, witnesses, own) for msp_id in NAMES}
        actors = opened.enter_context(acting(folder / "network", NAMES, witnesses=True, settings=chosen))
        for hospital in actors.network.hospitals:
            assert hospital.witness is not None
            nodes[hospital.msp_id].target = hospital.url
            witnesses[hospital.msp_id].target = hospital.witness.url
        yield shared(actors, nodes, witnesses, own, other, folder / "wallet.json")


def shared(
    actors: Actors, nodes: dict[str, TlsProxy], witnesses: dict[str, TlsProxy], own: Path, other: Path, file: Path
) -> Consortium:
    allergy: dict[str, Any] = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p"}}
    for resource in ({"resourceType": "Patient", "id": "p"}, {**allergy, "id": "a", "code": {"text": "nuts"}}):
        actors.archive.ingest_fhir(json.dumps(resource).encode(), source="his")
    actors.wait_anchored()
    (person,) = actors.patients()
    with cheap_passphrases():
        vault = Vault.create(file, PASSPHRASE)
    create_wallet(vault, "english", os.urandom)
    trusted = read_authorities(str(own))
    wallet = Wallet(
        vault, lambda url: Transport(url, timeout_s=TIMEOUT_S, trusted=trusted), os.urandom, lambda: datetime.now(UTC)
    )
    wallet.enrol(nodes[HOME].url, actors.registrar.issue_enrolment_code(person.patient).code)
    granted = wallet.grant(HOME, GrantChoice(grantee=AWAY), nodes[AWAY].url)
    actors.shared.confirm_match(granted.patient, granted.id, None)
    access = actors.shared.open_access(granted.patient, granted.id, "TREAT").id
    return Consortium(actors, nodes, witnesses, own, other, file, person.patient, granted.id, access)


def test_hospitals_read_from_each_other_and_their_witnesses_sign_for_each_other(consortium: Consortium) -> None:
    for proxy in (*consortium.nodes.values(), *consortium.witnesses.values()):
        proxy.tokens.clear()
    assert consortium.chart() > 0
    assert any(token.startswith("Bearer ") for token in consortium.nodes[HOME].tokens)
    assert consortium.witnesses[THIRD].tokens, "the witness of no party was asked"
    status = eventually(consortium.actors.archive.status, lambda now: now.witnessed == now.records)
    assert status.witnessed == status.anchored > 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wallets_commands_trust_whom_the_variable_names(
    consortium: Consortium, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(consortium.wallet, language)
    monkeypatch.setenv(CA_FILE, str(consortium.own))
    assert terminal.ok("records", HOME)
    consortium.nodes[HOME].tokens.clear()
    for authorities in (str(consortium.other), ""):
        monkeypatch.setenv(CA_FILE, authorities)
        told = terminal.wallet("records", HOME).fails("unavailable", language)
        assert terminal.says("certificate", "证书") in told
    assert consortium.nodes[HOME].tokens == set()


@pytest.mark.parametrize(("authorities", "told"), [("own", "ready"), ("other", "https-certificate")])
def test_the_state_of_a_node_is_asked_by_https_too(
    consortium: Consortium, authorities: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = consortium.actors.home
    for name, value in home.environment.items():
        if name.startswith("YILIAN_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(CA_FILE, str({"own": consortium.own, "other": consortium.other}[authorities]))
    done = CliRunner().invoke(build(text("en")), ["node", "status", "--node", consortium.nodes[HOME].url])
    assert f"running node\t{told}" in done.output.splitlines()


def test_a_node_that_trusts_another_authority_reads_nothing_says_why_and_tells_nothing(
    consortium: Consortium,
) -> None:
    away = consortium.actors.away
    trusting = dict(away.environment)
    try:
        restart(away, {**trusting, CA_FILE: str(consortium.other)})
        for proxy in (consortium.nodes[HOME], consortium.witnesses[HOME]):
            proxy.tokens.clear()
        with pytest.raises(Unavailable) as refused:
            consortium.chart()
        assert refused.value.reason == "https-certificate"
        assert consortium.nodes[HOME].tokens == set()
    finally:
        restart(away, trusting)
    assert consortium.chart() > 0


def restart(hospital: Hospital, environment: dict[str, str]) -> None:
    """The node alone; its witness goes on."""
    witness, hospital.witness = hospital.witness, None
    hospital.stop()
    hospital.witness, hospital.environment = witness, environment
    hospital.start()
    hospital.wait_ready()
