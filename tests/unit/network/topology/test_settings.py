"""Settings of peers and ordering nodes: what every version needs, and what some do not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from network.topology.description import Organization
from network.topology.engine import EngineVersion
from network.topology.placement import Placement
from network.topology.settings import admin_settings, orderer_settings, peer_settings

RENHE = Organization("renhe", "RenheMSP", 17000)
NATIVE = Placement(Path("/net"))
CONTAINERS = Placement(Path("/etc/yilian"), Path("/builder"), "0.0.0.0", None)  # noqa: S104
PINNED, PATCHED, NEW = EngineVersion(2, 5, 0), EngineVersion(2, 5, 16), EngineVersion(3, 1, 5)


def handlers(version: EngineVersion) -> tuple[list[str], str | None]:
    peer = peer_settings(RENHE, NATIVE, version)["peer"]
    named = [item["name"] for item in peer["handlers"]["authFilters"]]
    return named, peer.get("authentication", {}).get("timewindow")


def test_peers_refuse_proposals_of_another_time_where_they_know_how() -> None:
    assert handlers(PINNED) == (["DefaultAuth", "ExpirationCheck"], None)
    assert handlers(EngineVersion(2, 5, 9)) == handlers(PINNED)
    known = (["DefaultAuth", "ExpirationCheck", "TimeWindowCheck"], "60s")
    assert handlers(EngineVersion(2, 5, 10)) == handlers(PATCHED) == handlers(NEW) == known


def test_write_batches_are_offered_by_those_who_have_them() -> None:
    for version, offered in ((PATCHED, False), (EngineVersion(3, 0, 0), False), (NEW, True)):
        assert ("runtimeParams" in peer_settings(RENHE, NATIVE, version)["chaincode"]) == offered


def test_only_the_second_line_is_told_that_there_is_no_system_channel() -> None:
    assert orderer_settings(RENHE, NATIVE, PINNED)["General"]["BootstrapMethod"] == "none"
    assert "BootstrapMethod" not in orderer_settings(RENHE, NATIVE, NEW)["General"]


def test_nothing_is_served_without_tls_and_operators_show_a_certificate() -> None:
    orderer = orderer_settings(RENHE, NATIVE, NEW)
    assert orderer["General"]["TLS"]["Enabled"] is True
    for service in ("Admin", "Operations"):
        assert orderer[service]["TLS"]["Enabled"] is True
        assert orderer[service]["TLS"]["ClientAuthRequired"] is True
    peer = peer_settings(RENHE, NATIVE, NEW)
    assert peer["peer"]["tls"]["enabled"] is True
    assert peer["operations"]["tls"]["enabled"] is True
    assert peer["operations"]["tls"]["clientAuthRequired"] is True


def test_what_has_no_default_or_a_wrong_one_is_set() -> None:
    """Each of these is a symptom in docs/fabric-network.md."""
    orderer, peer = orderer_settings(RENHE, NATIVE, NEW), peer_settings(RENHE, NATIVE, NEW)
    assert "Cluster" not in orderer["General"]
    assert orderer["ChannelParticipation"]["MaxRequestBodySize"]
    assert all(orderer["Consensus"][name] for name in ("WALDir", "SnapDir"))
    assert peer["peer"]["fileSystemPath"] == "/net/data/peer-renhe"
    assert peer["peer"]["chaincodeListenAddress"] == "127.0.0.1:17001"
    assert peer["peer"]["discovery"]["enabled"] is True
    gossip = peer["peer"]["gossip"]
    assert (gossip["orgLeader"], gossip["useLeaderElection"]) == (True, False)
    assert gossip["pvtData"]["pushAckTimeout"] != "0s"
    assert set(peer["chaincode"]["system"]) == {"_lifecycle", "cscc", "lscc", "qscc"}


def values(settings: Any) -> list[str]:
    if isinstance(settings, dict):
        return [text for value in settings.values() for text in values(value)]
    if isinstance(settings, list):
        return [text for value in settings for text in values(value)]
    return [settings] if isinstance(settings, str) else []


def test_containers_listen_everywhere_and_are_called_by_name() -> None:
    peer, orderer = peer_settings(RENHE, CONTAINERS, NEW), orderer_settings(RENHE, CONTAINERS, NEW)
    assert not [text for text in values([peer, orderer]) if "127.0.0.1" in text or text.startswith("/net")]
    assert peer["peer"]["listenAddress"] == "0.0.0.0:17000"
    assert peer["peer"]["address"] == peer["peer"]["gossip"]["externalEndpoint"] == "peer-renhe:17000"
    assert orderer["General"]["ListenAddress"] == "0.0.0.0"  # noqa: S104
    assert peer["chaincode"]["externalBuilders"][0]["path"] == "/builder"


def test_the_administrator_signs_as_one_and_asks_the_own_peer() -> None:
    admin = admin_settings(RENHE, NATIVE)["peer"]
    assert "users/Admin@" in admin["mspConfigPath"]
    assert (admin["localMspId"], admin["address"]) == ("RenheMSP", "127.0.0.1:17000")


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("peer:\n Version: v3.1.5\n Commit SHA: 1\n", NEW),
        ("peer:\n Version: 2.5.16\n", PATCHED),
        ("peer:\n Version: v2.5.10-snapshot-abc\n", EngineVersion(2, 5, 10)),
        ("peer:\n Version: latest\n Go version: go1.26.8\n", PINNED),
    ],
)
def test_the_version_is_what_the_peer_says(told: str, version: EngineVersion) -> None:
    assert EngineVersion.parse(told) == version
