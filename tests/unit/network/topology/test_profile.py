"""The channel's configuration: what Raft and BFT need, and what one version of the engine needs only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from network.topology.description import Consensus, Timings, Topology, members
from network.topology.engine import EngineVersion
from network.topology.layout import Layout
from network.topology.placement import Placement
from network.topology.profile import PROFILE, channel_profile

MSPS = ["RenheMSP", "MingdeMSP", "AnkangMSP", "TongjiMSP"]
PINNED, NEW = EngineVersion(2, 5, 0), EngineVersion(3, 1, 5)
FOLDER = Path("/net")


def profile(consensus: Consensus, version: EngineVersion = NEW, placement: Placement | None = None) -> dict[str, Any]:
    topology = Topology(members(MSPS, 17000), consensus, timings=Timings(tick_ms=150))
    made = channel_profile(topology, Layout(FOLDER), placement or Placement(FOLDER), version)
    found: dict[str, Any] = made["Profiles"][PROFILE]
    return found


def test_two_peers_endorse_and_a_majority_decides_about_the_contract() -> None:
    policies = profile("raft")["Application"]["Policies"]
    peers = ",".join(f"'{msp}.peer'" for msp in MSPS)
    assert policies["Endorsement"] == {"Type": "Signature", "Rule": f"OutOf(2,{peers})"}
    assert policies["LifecycleEndorsement"] == {"Type": "ImplicitMeta", "Rule": "MAJORITY Endorsement"}
    assert policies["Admins"] == {"Type": "ImplicitMeta", "Rule": "MAJORITY Admins"}


@pytest.mark.parametrize("consensus", ["raft", "bft"])
def test_who_orders_is_no_member_who_reads_or_endorses(consensus: Consensus) -> None:
    made = profile(consensus)
    application = {item["ID"] for item in made["Application"]["Organizations"]}
    ordering = {item["ID"] for item in made["Orderer"]["Organizations"]}
    assert application == set(MSPS)
    assert not application & ordering
    assert next(item["OrdererEndpoints"] for item in made["Orderer"]["Organizations"]) == ["127.0.0.1:17003"]
    assert all("OrdererEndpoints" not in item for item in made["Application"]["Organizations"])


def test_no_client_and_no_administrator_signs_a_block_in_place_of_an_ordering_node() -> None:
    made = profile("raft")
    assert made["Orderer"]["Policies"]["BlockValidation"] == {"Type": "ImplicitMeta", "Rule": "ANY Writers"}
    writers = {item["ID"]: item["Policies"]["Writers"]["Rule"] for item in made["Orderer"]["Organizations"]}
    assert writers == {msp: f"OR('{msp}.orderer')" for msp in writers}
    assert len(writers) == len(MSPS)


def test_raft_has_the_ticks_of_the_description_and_needs_no_new_capability() -> None:
    made = profile("raft")
    assert made["Capabilities"] == {"V2_0": True}
    assert made["Application"]["Capabilities"] == {"V2_5": True}
    orderer = made["Orderer"]
    assert orderer["OrdererType"] == "etcdraft"
    options = orderer["EtcdRaft"]["Options"]
    assert (options["TickInterval"], options["ElectionTick"], options["HeartbeatTick"]) == ("150ms", 10, 1)
    assert len(orderer["EtcdRaft"]["Consenters"]) == 4
    assert "ConsenterMapping" not in orderer
    assert "SmartBFT" not in orderer


def test_bft_has_its_capability_consenters_with_identities_and_timings() -> None:
    made = profile("bft")
    assert made["Capabilities"] == {"V3_0": True}
    orderer = made["Orderer"]
    assert orderer["OrdererType"] == "BFT"
    assert "EtcdRaft" not in orderer
    assert [item["ID"] for item in orderer["ConsenterMapping"]] == [1, 2, 3, 4]
    assert [item["MSPID"] for item in orderer["ConsenterMapping"]] == [msp.replace("MSP", "OrdererMSP") for msp in MSPS]
    for consenter in orderer["ConsenterMapping"]:
        assert "/orderers/" in consenter["Identity"]
        assert consenter["Identity"] != consenter["ClientTLSCert"]
    timings = orderer["SmartBFT"]
    assert (timings["RequestForwardTimeout"], timings["RequestComplainTimeout"]) == ("500ms", "1000ms")
    assert (timings["LeaderHeartbeatTimeout"], timings["ViewChangeTimeout"]) == ("2000ms", "4000ms")


def sizes(version: EngineVersion) -> tuple[str, str]:
    orderer = profile("raft", version)["Orderer"]
    return orderer["BatchSize"]["PreferredMaxBytes"], orderer["EtcdRaft"]["Options"]["SnapshotIntervalSize"]


def test_only_the_engine_that_hangs_after_a_restart_gets_the_cure() -> None:
    assert sizes(PINNED) == ("64 MB", "1 MB")
    assert sizes(EngineVersion(2, 5, 3)) == sizes(NEW) == ("2 MB", "16 MB")


def test_containers_find_each_other_by_name() -> None:
    made = profile("raft", placement=Placement(FOLDER, listen_host="0.0.0.0", dial_host=None))  # noqa: S104
    assert made["Orderer"]["EtcdRaft"]["Consenters"][1]["Host"] == "orderer-mingde"
    assert made["Application"]["Organizations"][2]["AnchorPeers"] == [{"Host": "peer-ankang", "Port": 17016}]
    assert "127.0.0.1" not in str(made)
