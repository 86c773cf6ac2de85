"""``docker-compose-fabric.yaml`` says what the description of its network says, and takes no liberty with security."""

from __future__ import annotations

import importlib
import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from network.topology.containers import (
    CONNECTION_FILE,
    FOLDER,
    HANDED_OUT,
    HOSPITALS,
    IPFS_PORT,
    NODE_PORT,
    PLACEMENT,
    START_IPFS,
    USER,
    WITNESS_FOLDER,
    WITNESS_PORT,
    Container,
    compose_topology,
    containers,
)
from network.topology.description import Consensus, Organization
from network.topology.engine import EngineVersion
from network.topology.layout import Layout
from network.topology.profile import PROFILE, channel_profile
from network.witness.folder import PUBLIC_KEY_FILE
from scripts.kubo import OFFLINE

ROOT: Final = Path(__file__).resolve().parents[4]
TOPOLOGY: Final = compose_topology("bft")
CONTAINERS: Final = {item.name: item for item in containers(TOPOLOGY)}
ONE_SHOTS: Final = {"material", "channel"}
BY_NAME: Final = pytest.mark.parametrize("name", CONTAINERS)


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    yaml = importlib.import_module("yaml")  # of uvicorn; it has no types
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose-fabric.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(file: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = file["services"]
    return found


def test_there_is_a_service_and_a_volume_for_every_container_and_nothing_else(file: dict[str, Any]) -> None:
    assert set(file["services"]) == set(CONTAINERS) | ONE_SHOTS | {"wallet"}
    assert set(file["volumes"]) == set(CONTAINERS) | {"network", "wallet"}


def test_a_patients_wallet_sees_nothing_of_any_hospital(services: dict[str, Any]) -> None:
    assert services["wallet"]["volumes"] == ["wallet:/wallet"]
    assert services["wallet"]["profiles"] == ["wallet"]


def test_the_hospitals_are_those_of_the_description(services: dict[str, Any]) -> None:
    for organization in TOPOLOGY.organizations:
        assert services[f"node-{organization.name}"]["environment"]["YILIAN_MSP_ID"] == organization.msp
    assert tuple(item.msp for item in TOPOLOGY.organizations) == HOSPITALS


@BY_NAME
def test_a_container_sees_its_own_volume_alone(services: dict[str, Any], name: str) -> None:
    assert services[name]["volumes"] == [f"{name}:{FOLDER}"]


def test_only_the_one_shots_see_everything(services: dict[str, Any]) -> None:
    handed = {f"{name}:{HANDED_OUT / name}" for name in CONTAINERS}
    assert set(services["material"]["volumes"]) == handed | {f"network:{FOLDER}"}
    assert services["channel"]["volumes"] == [f"network:{FOLDER}"]


@BY_NAME
def test_a_container_runs_what_its_role_says(services: dict[str, Any], name: str) -> None:
    service, organization = services[name], name.partition("-")[2]
    match CONTAINERS[name].role:
        case "orderer":
            assert (service["command"], _fabric_image(service)) == (["orderer"], "orderer")
        case "peer":
            assert (service["command"], _fabric_image(service)) == (["peer", "node", "start"], "peer")
        case "contract":
            assert service["command"] == ["python", "-m", "network.topology", "contract", organization]
        case "witness":
            assert {str(FOLDER / WITNESS_FOLDER), str(FOLDER / CONNECTION_FILE)} < set(service["command"])
        case "node":
            assert service["environment"]["YILIAN_FABRIC_CONNECTION"] == str(FOLDER / CONNECTION_FILE)
            assert service["environment"]["YILIAN_WITNESS_KEY_FILE"] == str(FOLDER / PUBLIC_KEY_FILE)


@pytest.mark.parametrize("name", [item.name for item in CONTAINERS.values() if item.role in ("orderer", "peer")])
def test_fabric_reads_the_settings_that_were_made_for_it(services: dict[str, Any], name: str) -> None:
    assert services[name]["environment"]["FABRIC_CFG_PATH"] == str(Layout(FOLDER).settings(name))
    assert Layout(FOLDER).settings(name) in CONTAINERS[name].files


@BY_NAME
def test_nothing_of_a_container_is_looser_than_it_has_to_be(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["user"] == f"{USER}:{USER}"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "mem_limit" in service
    assert not {"cap_add", "privileged", "network_mode", "pid"} & set(service)
    probe = (str(FOLDER / "probe"), str(FOLDER / "probe.json"))
    asked = ("pg_isready", "-q", "-h", "127.0.0.1", "-U", "yilian") if name.startswith("postgresql-") else probe
    assert service["healthcheck"]["test"] == ["CMD", *asked]


def test_only_nodes_and_witnesses_are_published_and_on_this_machine_alone(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {item.name for item in CONTAINERS.values() if item.role in ("node", "witness")}
    for at, organization in enumerate(TOPOLOGY.organizations, 1):
        assert published[f"node-{organization.name}"] == [f"127.0.0.1:${{NODE_PORTS:-800}}{at}:{NODE_PORT}"]
        assert published[f"witness-{organization.name}"] == [f"127.0.0.1:${{WITNESS_PORTS:-810}}{at}:{WITNESS_PORT}"]


def test_the_one_shot_that_is_root_has_no_network_and_may_only_give_files_away(services: dict[str, Any]) -> None:
    material = services["material"]
    assert (material["network_mode"], material["cap_drop"]) == ("none", ["ALL"])
    assert set(material["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER"}
    assert services["channel"]["user"] == f"{USER}:{USER}"


@pytest.mark.parametrize("organization", TOPOLOGY.organizations, ids=lambda item: item.name)
def test_a_node_knows_its_own_addresses_and_may_call_all_others(
    services: dict[str, Any], organization: Organization
) -> None:
    settings = services[f"node-{organization.name}"]["environment"]
    assert settings["YILIAN_PUBLIC_URL"] == f"http://node-{organization.name}:{NODE_PORT}"
    assert settings["YILIAN_WITNESS_URL"] == f"http://witness-{organization.name}:{WITNESS_PORT}"
    assert settings["YILIAN_WITNESS_API_URL"] == settings["YILIAN_WITNESS_URL"]
    everybody = {services[f"node-{item.name}"]["environment"][what] for item in TOPOLOGY.organizations for what in (
        "YILIAN_PUBLIC_URL", "YILIAN_WITNESS_URL"
    )}  # fmt: skip
    assert set(settings["YILIAN_ALLOWED_NODES"].split()) == everybody


@pytest.mark.parametrize("organization", TOPOLOGY.organizations, ids=lambda item: item.name)
def test_a_node_reaches_its_kubo_by_an_address_that_nobody_else_can_have(
    file: dict[str, Any], organization: Organization
) -> None:
    name, services = f"ipfs-{organization.name}", file["services"]
    (subnet,) = (item["subnet"] for item in file["networks"][name]["ipam"]["config"])
    kubo, node = services[name]["networks"], services[f"node-{organization.name}"]["networks"]
    assert set(kubo) == {name}
    assert file["networks"][name]["internal"] is True
    hosts = [str(host) for host in ip_network(_told(subnet)).hosts()][1:3]  # the first is the bridge's own
    assert [_told(kubo[name]["ipv4_address"]), _told(node[name]["ipv4_address"])] == hosts
    stores = services[f"node-{organization.name}"]["environment"]["YILIAN_STORES"]
    assert _told(stores).split() == ["local", f"http://{hosts[0]}:{IPFS_PORT}"]


def test_kubo_is_started_with_the_settings_of_all_other_tests_of_it() -> None:
    set_there = dict(re.findall(r"^set_to ([A-Za-z.]+) '?(.+?)'?$", START_IPFS.read_text(), re.MULTILINE))
    for name, value in OFFLINE.items():
        if name != "Addresses.API":
            assert set_there[name] == json.dumps(value)


def test_there_is_no_secret_in_the_file() -> None:
    """A setting may name a file that ``material`` made."""
    text = (ROOT / "docker-compose-fabric.yaml").read_text()
    found = re.findall("[A-Z_]*(?:PASSWORD|SECRET|PRIVATE|TOKEN)[A-Z_]*: [^,}\n]+", text)
    assert set(found) == {
        "POSTGRES_PASSWORD_FILE: /network/database-password",
        "YILIAN_IPFS_TOKEN_FILE: /network/ipfs-token",
        "TOKEN_FILE: /network/ipfs-token",
    }


@pytest.mark.parametrize("consensus", ["bft", "raft"])
def test_orderers_and_peers_find_each_other_by_the_services_names(consensus: Consensus) -> None:
    layout, version = Layout(FOLDER), EngineVersion(3, 1, 5)
    profile = channel_profile(compose_topology(consensus), layout, PLACEMENT, version)["Profiles"][PROFILE]
    orderer = profile["Orderer"]
    consenters = orderer["ConsenterMapping"] if consensus == "bft" else orderer["EtcdRaft"]["Consenters"]
    expected = [(item.process("orderer"), item.port("orderer")) for item in TOPOLOGY.organizations]
    assert [(item["Host"], item["Port"]) for item in consenters] == expected
    anchors = [item["AnchorPeers"][0]["Host"] for item in profile["Application"]["Organizations"]]
    assert anchors == [item.process("peer") for item in TOPOLOGY.organizations]


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=lambda item: item.name)
def test_no_container_gets_an_administrators_or_an_authoritys_key(container: Container) -> None:
    layout = Layout(FOLDER)
    for organization in TOPOLOGY.organizations:
        forbidden = [
            layout.admin(organization).folder,
            layout.orderer_admin(organization).folder,
            layout.peer_organization(organization) / "ca",
            layout.orderer_organization(organization) / "ca",
        ]
        for path in container.files:
            assert not [folder for folder in forbidden if folder.is_relative_to(path) or path.is_relative_to(folder)]


@pytest.mark.parametrize("organization", TOPOLOGY.organizations, ids=lambda item: item.name)
def test_node_and_witness_of_a_hospital_hold_each_their_own_key_alone(organization: Organization) -> None:
    layout = Layout(FOLDER)
    node, witness = layout.client(organization).folder, layout.witness(organization).folder
    for name, own, other in (("node", node, witness), ("witness", witness, node)):
        files = CONTAINERS[f"{name}-{organization.name}"].files
        assert own / "msp" in files
        assert not [path for path in files if path.is_relative_to(other) or other.is_relative_to(path)]
        assert not [path for path in files if path == own or path.is_relative_to(own / "tls")]  # nobody asks for it


def _told(text: str) -> str:
    """With the file's own choice of the variable."""
    return text.replace("${IPFS_NETWORK:-10.201.17}", "10.201.17")


def _fabric_image(service: dict[str, Any]) -> str:
    prefix, separator, rest = service["image"].partition("${FABRIC_IMAGE:-hyperledger/fabric}-")
    assert (prefix, bool(separator)) == ("", True)
    role, _, version = rest.partition(":")
    assert version == "${FABRIC_VERSION:-3.1.5}"
    return str(role)
