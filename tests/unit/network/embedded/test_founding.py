from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid
from network.blocks.identity import Identity, parse_identity
from network.blocks.member import verify_member
from network.blocks.msp import Role
from network.embedded.founding import ORDERING_ORGANISATION, WARNING, Founding, init
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.material import load_key_pair
from network.embedded.state import read_genesis
from tests.unit.network.embedded.conftest import Open, StandingClock


def identity(founding: Founding, msp_id: str, role: str) -> Identity:
    return parse_identity(load_key_pair(Layout(founding.directory).identity(msp_id, role)).signer(msp_id).identity)


def test_only_the_owner_may_read_anything(founding: Founding) -> None:
    paths = list(founding.directory.rglob("*"))
    assert len(paths) > 30
    assert stat.S_IMODE(founding.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}


def test_the_files_that_sqlite_adds_are_for_the_owner_too(founding: Founding, ledger: EmbeddedLedger) -> None:
    ledger.submit("Put", b'{"drawer":"a","text":"x"}')
    files = [path for path in founding.directory.iterdir() if path.name.startswith("ledger.db")]
    assert {path.name for path in files} == {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize(
    ("role", "expected", "attributes"),
    [
        ("node", Role.CLIENT, {"yilian.role": "node"}),
        ("auditor", Role.CLIENT, {"yilian.role": "auditor"}),
        ("peer", Role.PEER, {}),
        ("admin", Role.ADMIN, {}),
    ],
)
def test_every_identity_has_its_role_on_the_channel(
    founding: Founding, ledger: EmbeddedLedger, role: str, expected: Role, attributes: dict[str, str]
) -> None:
    config = read_genesis(ledger.raw_block(0)).config
    found = identity(founding, "SouthMSP", role)
    signer = load_key_pair(Layout(founding.directory).identity("SouthMSP", role)).signer("SouthMSP")
    assert verify_member(signer.identity, config.msps).membership.roles == {Role.MEMBER, expected}
    assert found.attributes() == attributes


def test_the_orderer_is_no_member_of_any_hospital(founding: Founding, ledger: EmbeddedLedger) -> None:
    config = read_genesis(ledger.raw_block(0)).config
    assert set(config.application_organizations.values()) == {"NorthMSP", "SouthMSP"}
    assert set(config.orderer_organizations.values()) == {ORDERING_ORGANISATION}
    assert config.consensus_type == "embedded"


def test_the_summary_warns_that_one_operator_holds_everything(founding: Founding) -> None:
    assert founding.warning == WARNING
    assert "one operator" in founding.warning
    assert len(founding.genesis) == 64


def test_the_contract_is_defined_in_block_1(ledger: EmbeddedLedger) -> None:
    assert ledger.height() == 2
    assert ledger.evaluate("List", {}) == []


def test_two_foundings_have_nothing_in_common(tmp_path: Path, founding: Founding, clock: StandingClock) -> None:
    other = init(tmp_path / "other", "care", ["NorthMSP", "SouthMSP"], clock=clock, random=os.urandom)
    assert other.genesis != founding.genesis


@pytest.mark.parametrize("content", ["notes.txt", "ledger.db"])
def test_a_directory_with_anything_in_it_is_refused(tmp_path: Path, clock: StandingClock, content: str) -> None:
    (tmp_path / content).write_text("x")
    with pytest.raises(Invalid) as caught:
        init(tmp_path, "care", ["NorthMSP"], clock=clock, random=os.urandom)
    assert caught.value.reason == "not-empty"
    assert [path.name for path in tmp_path.iterdir()] == [content]


@pytest.mark.parametrize(
    ("organisations", "change"),
    [
        ([], {}),
        (["NorthMSP", "NorthMSP"], {}),
        (["NorthMSP", "northmsp"], {}),
        (["../NorthMSP"], {}),
        ([ORDERING_ORGANISATION], {}),
        ([f"H{n}MSP" for n in range(65)], {}),
        (["NorthMSP"], {"channel": "Care"}),
        (["NorthMSP"], {"channel": "../care"}),
        (["NorthMSP"], {"contract": "_lifecycle"}),
        (["NorthMSP"], {"endorsements_required": 2}),
        (["NorthMSP"], {"endorsements_required": 0}),
    ],
)
def test_names_and_numbers_that_break_a_rule_are_refused_before_anything_is_written(
    tmp_path: Path, clock: StandingClock, organisations: Sequence[str], change: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"channel": "care", **change}
    with pytest.raises(Invalid):
        init(tmp_path / "ledger", organisations=organisations, clock=clock, random=os.urandom, **arguments)
    assert not (tmp_path / "ledger").exists()


def test_one_hospital_alone_can_found_a_ledger(tmp_path: Path, clock: StandingClock) -> None:
    founding = init(tmp_path / "ledger", "care", ["NorthMSP"], clock=clock, random=os.urandom)
    assert founding.endorsements_required == 1


def test_private_keys_do_not_show(founding: Founding) -> None:
    pair = load_key_pair(Layout(founding.directory).identity("NorthMSP", "node"))
    assert "key" not in repr(pair).replace("public_key", "")


def test_a_key_of_another_certificate_is_refused(founding: Founding) -> None:
    layout = Layout(founding.directory)
    other = layout.identity("NorthMSP", "auditor") / "key.pem"
    (layout.identity("NorthMSP", "node") / "key.pem").write_bytes(other.read_bytes())
    with pytest.raises(Invalid):
        load_key_pair(layout.identity("NorthMSP", "node"))


def test_a_ledger_of_another_founding_behind_channel_json_raises_the_alarm(
    founding: Founding, opened: Open, tmp_path: Path, clock: StandingClock
) -> None:
    other = init(tmp_path / "other", "care", ["NorthMSP", "SouthMSP"], clock=clock, random=os.urandom)
    (founding.directory / "ledger.db").write_bytes((other.directory / "ledger.db").read_bytes())
    with pytest.raises(Exception, match="another channel's genesis block"):
        opened("NorthMSP")


def test_an_organisation_without_keys_here_is_refused(opened: Open) -> None:
    with pytest.raises(Exception, match="key material cannot be read"):
        opened("WestMSP")
