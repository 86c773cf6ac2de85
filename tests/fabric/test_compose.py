"""``docker-compose-fabric.yaml`` really started: images from this machine's programs, Raft, containers that crash."""

from __future__ import annotations

import importlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from network.topology.containers import (
    PASSFILE,
    PASSWORD_FILE,
    TOKEN_FILE,
    USER,
    Container,
    compose_topology,
    containers,
)
from network.topology.engine import Binaries
from node_service.client.node_client import StaffClient
from tests.fabric.composed import ROOT, Composed, eventually
from tests.fabric.docker_engine import docker_engine, require
from yilian.demo.commands import synthetic, tell_story
from yilian.demo.containers import ContainedNetwork, own_addresses
from yilian.demo.report import Report
from yilian.language import text

CONTAINERS: Final = tuple(containers(compose_topology("raft")))
IMAGES_TIMEOUT_S: Final = 600.0


@pytest.fixture(scope="module")
def composed(binaries: Binaries) -> Iterator[Composed]:
    """Four hospitals as containers, from nothing to every health check green."""
    with docker_engine() as environment:
        made = subprocess.run(
            [ROOT / "scripts" / "fabric-images.sh", binaries.folder], env=environment, capture_output=True, text=True,
            timeout=IMAGES_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        images = dict(line.split("=", 1) for line in made.stdout.split())
        running = Composed({**environment, **images, **own_addresses(), "CONSENSUS": "raft"})
        try:
            running.project.up()
            _wait_healthy(running)
            yield running
        finally:
            running.project.down()


@pytest.fixture(scope="module")
def doctor(composed: Composed) -> StaffClient:
    """Works at the first hospital."""
    return composed.employ("renhe", "doctor", "clinician")


def test_the_network_is_made_and_the_contract_deployed_before_any_node_starts(composed: Composed) -> None:
    material, channel, node = (composed.inspect(name)["State"] for name in ("material", "channel", "node-renhe"))
    assert (material["ExitCode"], channel["ExitCode"], node["Running"]) == (0, 0, True)
    assert material["FinishedAt"] < channel["StartedAt"] < channel["FinishedAt"] < node["StartedAt"]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda item: item.name)
def test_a_container_runs_as_nobody_in_particular_and_keeps_its_files_to_itself(
    composed: Composed, container: Container
) -> None:
    told = composed.inspect(container.name)
    assert told["Config"]["User"] == f"{USER}:{USER}"
    assert told["HostConfig"]["ReadonlyRootfs"]
    volume = composed.volume(container.name)
    assert stat.S_IMODE(volume.stat().st_mode) == 0o700
    assert {path.lstat().st_uid for path in (volume, *volume.rglob("*"))} == {USER}
    own = {"data", "node"}  # what the process made itself, below a folder that nobody else enters
    made = [path for path in volume.rglob("*") if path.is_file() and not own & {*path.relative_to(volume).parts}]
    assert made
    assert not [path for path in made if _is_open(path)]
    assert not [path for path in volume.rglob("*") if path.parent.name in ("ca", "tlsca")]


def test_no_key_is_in_two_containers(composed: Composed) -> None:
    seen: dict[bytes, set[str]] = {}
    for container in CONTAINERS:
        for path in composed.volume(container.name).rglob("*"):
            if path.name in ("priv_sk", "server.key", "client.key", "witness.key", "node-keys.json"):
                seen.setdefault(path.read_bytes(), set()).add(container.name)
    assert not [sorted(names) for names in seen.values() if len(names) > 1]
    holders = set().union(*seen.values())
    assert holders == {container.name for container in CONTAINERS if container.role not in ("postgresql", "ipfs")}


def test_a_database_s_password_is_its_hospital_s_alone_and_several_processes_serve(composed: Composed) -> None:
    names = [item.name for item in compose_topology("raft").organizations]
    passwords = [(composed.volume(f"postgresql-{name}") / PASSWORD_FILE).read_text() for name in names]
    assert len(set(passwords)) == len(names)
    for name, password in zip(names, passwords, strict=True):
        assert password in (composed.volume(f"node-{name}") / PASSFILE).read_text()
        assert composed.networks(f"postgresql-{name}") == {f"database-{name}"}
    processes = composed.database("renhe", "SELECT count(DISTINCT application_name) FROM pg_stat_activity"
                                  " WHERE application_name LIKE 'yilian-node %'")  # fmt: skip
    assert int(processes) == 2
    assert composed.database("renhe", "SHOW data_checksums") == "on"


def test_a_token_of_ipfs_is_its_hospital_s_alone(composed: Composed) -> None:
    names = [item.name for item in compose_topology("raft").organizations]
    tokens = [(composed.volume(f"ipfs-{name}") / TOKEN_FILE).read_text() for name in names]
    assert len(set(tokens)) == len(names)
    for name, token in zip(names, tokens, strict=True):
        assert token == (composed.volume(f"node-{name}") / TOKEN_FILE).read_text()
        assert composed.networks(f"ipfs-{name}") == {f"ipfs-{name}"}


def test_a_record_of_one_hospital_is_anchored_witnessed_and_known_to_all_others(
    composed: Composed, doctor: StaffClient
) -> None:
    _store_and_anchor(doctor)
    eventually(doctor.status, lambda now: now.witnessed >= now.records > 0)
    for hospital in ("mingde", "ankang", "huiji"):
        _wait_known(composed, hospital, doctor)


def test_the_demo_tells_its_whole_story_on_the_containers(composed: Composed, tmp_path: Path) -> None:
    names = {"RenheMSP": "Renhe", "MingdeMSP": "Mingde", "AnkangMSP": "Ankang"}
    network = ContainedNetwork(composed.project, tmp_path, names)
    network.meet()
    report = Report(Console(quiet=True), text("en"))
    tell_story(report, network, synthetic(tmp_path / "input"))
    assert report.ok
    assert report.verified_transactions > 0


def test_what_a_hospital_s_ipfs_missed_while_it_was_down_is_brought_to_it(
    composed: Composed, doctor: StaffClient
) -> None:
    eventually(doctor.status, lambda now: now.store_copies_owed == 0)
    held = composed.ipfs_bytes("renhe")
    composed.compose("stop", "--timeout", "5", "ipfs-renhe")
    _store_and_anchor(doctor)
    assert doctor.status().store_copies_owed > 0
    composed.compose("start", "ipfs-renhe")
    eventually(doctor.status, lambda now: (now.stores, now.stores_down, now.store_copies_owed) == (2, 0, 0))
    assert composed.ipfs_bytes("renhe") > held


def test_a_hospital_whose_containers_all_crash_comes_back_and_misses_nothing(
    composed: Composed, doctor: StaffClient
) -> None:
    services = {f"{role}-mingde" for role in ("orderer", "peer", "contract", "witness", "node", "postgresql", "ipfs")}

    def starts() -> dict[str, str]:
        return {name: str(composed.inspect(name)["State"]["StartedAt"]) for name in services}

    before = starts()
    for name in services:
        composed.crash(name)
    _store_and_anchor(doctor)
    eventually(starts, lambda now: all(now[name] != before[name] for name in services))
    eventually(composed.well, lambda names: services <= names, timeout_s=300)
    _wait_known(composed, "mingde", doctor)


def test_everything_stopped_and_started_again_goes_on(composed: Composed, doctor: StaffClient) -> None:
    before = doctor.status().records
    composed.compose("stop", "--timeout", "10")
    composed.project.up()
    _wait_healthy(composed)
    again = composed.employ("renhe", "doctor-of-the-next-day", "clinician")
    assert again.status().records == before
    _store_and_anchor(again)


def test_the_file_s_own_choice_is_bft_with_the_official_images() -> None:
    require("docker-compose")
    chosen = (
        "FABRIC_IMAGE", "FABRIC_VERSION", "CONSENSUS", "YILIAN_IMAGE", "YILIAN_VERSION", "POSTGRESQL_IMAGE",
        "POSTGRESQL_VERSION", "KUBO_IMAGE", "KUBO_VERSION",
    )  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    rendered = Composed(environment).compose("config")
    services: dict[str, Any] = importlib.import_module("yaml").safe_load(rendered)["services"]
    assert services["material"]["environment"] == {"CONSENSUS": "bft"}
    assert len([name for name in services if name.startswith("orderer-")]) == 4
    images = {service["image"] for service in services.values()}
    assert images == {
        "hyperledger/fabric-orderer:3.1.5", "hyperledger/fabric-peer:3.1.5", "yilian:latest", "yilian-network:latest",
        "postgres:17", "ipfs/kubo:v0.42.0",
    }  # fmt: skip


def _store_and_anchor(doctor: StaffClient) -> None:
    created = doctor.fhir("POST", "/Patient", content=b'{"resourceType":"Patient","gender":"female"}')
    assert created.status == 201
    eventually(doctor.status, lambda now: now.outbox == 0 and now.anchored >= now.records > 0)


def _wait_healthy(composed: Composed) -> None:
    everybody = {item.name for item in CONTAINERS}
    eventually(composed.well, lambda names: names == everybody, timeout_s=300)


def _wait_known(composed: Composed, hospital: str, doctor: StaffClient) -> None:
    """Wait until another hospital knows of every record of the first one that it is anchored."""
    records = doctor.status().records
    eventually(lambda: _head(composed, hospital, "RenheMSP"), lambda size: size >= records)


def _head(composed: Composed, hospital: str, msp: str) -> int:
    """The size of an organisation's record log, as a hospital's node reads it from the blocks of its own peer."""
    query = f"SELECT coalesce(max(size), 0) FROM anchored_head WHERE msp_id = '{msp}' AND log = 'records'"  # noqa: S608
    return int(composed.database(hospital, query))


def _is_open(path: Path) -> bool:
    """True if others than the owner could read or change it; programs may be run by anybody."""
    programs = path.name == "probe" or path.parent.name == "bin"
    return bool(stat.S_IMODE(path.stat().st_mode) & (0o022 if programs else 0o077))
