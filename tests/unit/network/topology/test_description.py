"""The description of a network: read strictly, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid, NotFound, Unavailable
from network.topology.description import MAX_BYTES, SERVICES, Organization, Timings, Topology, members

MSPS = ["RenheMSP", "MingdeMSP", "AnkangMSP", "TongjiMSP"]
THREE = Topology(members(MSPS[:3], 17000))
FOUR = Topology(members(MSPS, 17000), "bft", "records", "contract-1", Timings(batch_timeout_ms=70))


@pytest.mark.parametrize("topology", [THREE, FOUR])
def test_what_is_written_is_read_again(topology: Topology) -> None:
    assert Topology.parse(topology.encode()) == topology


def test_a_description_needs_no_more_than_its_members() -> None:
    least = {"format": "yilian-fabric-network", "version": 1}
    organization = {"name": "renhe", "msp": "RenheMSP", "first_port": 7050}
    read = Topology.parse(json.dumps({**least, "organizations": [organization]}).encode())
    assert (read.channel, read.contract, read.consensus, read.timings) == ("yilian", "yilian", "raft", Timings())
    assert (read.endorsements, read.majority) == (1, 1)


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(THREE.encode()), **fields}).encode()


def with_first(**fields: Any) -> bytes:
    first, *others = json.loads(THREE.encode())["organizations"]
    return changed(organizations=[{**first, **fields}, *others])


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"{", "network"),
        (b"[]", "network"),
        (b"[" * 100_000, "network"),
        (b" " * (MAX_BYTES + 1), "network"),
        (changed(format="another"), "format"),
        (changed(version=2), "version"),
        (changed(consensus="kafka"), "network.consensus"),
        (changed(consensus="bft"), "network.organizations"),
        (changed(channel="Yilian"), "network.channel"),
        (changed(contract="-"), "network.contract"),
        (changed(organizations=[]), "network.organizations"),
        (changed(organizations={}), "organizations"),
        (changed(organizations=[7]), "organizations.0"),
        (changed(organizations=[{"name": "renhe"}]), "organizations.0"),
        (changed(extra=1), "network.extra"),
        (changed(timings={"tick_ms": 0}), "timings.tick_ms"),
        (changed(timings={"tick_ms": True}), "timings.tick_ms"),
        (changed(timings={"ticks": 1}), "timings.ticks"),
        (with_first(name="Renhe"), "organizations.0.name"),
        (with_first(name="renhe.next"), "organizations.0.name"),
        (with_first(msp="1"), "organizations.0.msp"),
        (with_first(first_port=80), "organizations.0.first_port"),
        (with_first(first_port=65535), "organizations.0.first_port"),
        (with_first(password="x"), "organizations.0.password"),
        (with_first(name="mingde"), "network.organizations"),
        (with_first(msp="MingdeMSP"), "network.organizations"),
        (with_first(msp="Mingde"), "network.organizations"),  # its orderers' MSP is another's
        (with_first(first_port=17007), "network.organizations"),
    ],
)
def test_what_is_wrong_is_named(raw: bytes, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        Topology.parse(raw)
    assert (refused.value.reason, refused.value.place) == ("network-file", place)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_other_bytes_are_refused_as_invalid(raw: bytes) -> None:
    with pytest.raises(Invalid):
        Topology.parse(raw)


def test_a_bft_leader_has_time_to_cut_its_block_before_the_others_depose_it() -> None:
    """Else it is deposed for each block, and nothing is ever ordered; Raft knows no such complaint."""
    slow = Timings(batch_timeout_ms=1500)
    with pytest.raises(Invalid) as refused:
        replace(FOUR, timings=slow)
    assert refused.value.place == "timings.batch_timeout_ms"
    assert replace(FOUR, consensus="raft", timings=slow).timings == slow
    patient = replace(slow, request_complain_ms=1001)
    assert replace(FOUR, timings=patient).timings == patient


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Any) -> None:
    with pytest.raises(Unavailable):
        Topology.read(tmp_path / "network.json")


def test_no_two_services_of_a_network_share_a_port() -> None:
    ports = [item.port(service) for item in FOUR.organizations for service in SERVICES]
    assert len(set(ports)) == len(ports)


def test_processes_are_named_after_role_and_organisation() -> None:
    assert THREE.processes[0] == "orderer-renhe"
    assert set(THREE.processes) == {
        f"{role}-{name}" for role in ("orderer", "peer", "contract") for name in ("renhe", "mingde", "ankang")
    }
    assert THREE.organization("MingdeMSP") is THREE.organization("mingde")
    assert THREE.organization("mingde").orderer_msp == "MingdeOrdererMSP"


@pytest.mark.parametrize(("count", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_more_than_half_of_the_administrators_decide(count: int, majority: int) -> None:
    msps = [f"H{number}MSP" for number in range(count)]
    assert Topology(members(msps, 17000)).majority == majority


def test_members_come_and_go() -> None:
    huaxi = Organization("huaxi", "HuaxiMSP", 18000)
    wider = THREE.with_organization(huaxi)
    assert wider.organization("huaxi") == huaxi
    assert wider.without_organization("huaxi") == THREE
    with pytest.raises(NotFound):
        THREE.organization("huaxi")
    with pytest.raises(Invalid):
        FOUR.without_organization("renhe")
