"""The channel's configuration as configtxgen reads it (sampleconfig/configtx.yaml; JSON is YAML)."""

from __future__ import annotations

from typing import Any, Final

from network.topology.description import Organization, Topology
from network.topology.engine import EngineVersion
from network.topology.layout import Layout
from network.topology.placement import Placement

PROFILE: Final = "Channel"
ENDORSEMENT: Final = "/Channel/Application/Endorsement"
"""The contract's policy by reference: a change of the members and of who endorses is one configuration block."""
_ABSOLUTE_MAX_BYTES: Final = "64 MB"
_PREFERRED_MAX_BYTES: Final = "2 MB"
_SNAPSHOT_INTERVAL: Final = "16 MB"
_CURED_SNAPSHOT_INTERVAL: Final = "1 MB"


def channel_profile(topology: Topology, layout: Layout, placement: Placement, version: EngineVersion) -> dict[str, Any]:
    """The file ``configtx.yaml`` with one profile, :data:`PROFILE`.

    Args:
        layout: where configtxgen finds the material.
        placement: how orderers and peers find each other.
    """
    profile = {
        "Policies": _member_policies(),
        "Capabilities": {"V3_0" if topology.consensus == "bft" else "V2_0": True},
        "Orderer": _orderer(topology, layout, placement, version),
        "Application": _application(topology, layout, placement),
    }
    return {"Profiles": {PROFILE: profile}}


def _application(topology: Topology, layout: Layout, placement: Placement) -> dict[str, Any]:
    endorsers = ",".join(f"'{item.msp}.peer'" for item in topology.organizations)
    return {
        "Organizations": [_peer_organization(item, layout, placement) for item in topology.organizations],
        "Capabilities": {"V2_5": True},
        "Policies": {
            **_member_policies(),
            "Endorsement": _signature(f"OutOf({topology.endorsements},{endorsers})"),
            "LifecycleEndorsement": _implicit("MAJORITY Endorsement"),
        },
    }


def _orderer(topology: Topology, layout: Layout, placement: Placement, version: EngineVersion) -> dict[str, Any]:
    cured = version.hangs_after_restart
    timings = topology.timings
    common = {
        "BatchTimeout": f"{timings.batch_timeout_ms}ms",
        "BatchSize": {
            "MaxMessageCount": timings.max_message_count,
            "AbsoluteMaxBytes": _ABSOLUTE_MAX_BYTES,
            "PreferredMaxBytes": _ABSOLUTE_MAX_BYTES if cured else _PREFERRED_MAX_BYTES,
        },
        "Organizations": [_orderer_organization(item, layout, placement) for item in topology.organizations],
        "Policies": {**_member_policies(), "BlockValidation": _implicit("ANY Writers")},
        "Capabilities": {"V2_0": True},
    }
    if topology.consensus == "bft":
        return {"OrdererType": "BFT", **common, **_bft(topology, layout, placement)}
    interval = _CURED_SNAPSHOT_INTERVAL if cured else _SNAPSHOT_INTERVAL
    return {"OrdererType": "etcdraft", **common, "EtcdRaft": _raft(topology, layout, placement, interval)}


def _raft(topology: Topology, layout: Layout, placement: Placement, snapshot_interval: str) -> dict[str, Any]:
    return {
        "Consenters": [_consenter(item, layout, placement) for item in topology.organizations],
        "Options": {
            "TickInterval": f"{topology.timings.tick_ms}ms",
            "ElectionTick": 10,
            "HeartbeatTick": 1,
            "MaxInflightBlocks": 5,
            "SnapshotIntervalSize": snapshot_interval,
        },
    }


def _bft(topology: Topology, layout: Layout, placement: Placement) -> dict[str, Any]:
    timings = topology.timings
    return {
        "ConsenterMapping": [
            {
                "ID": at,
                "MSPID": item.orderer_msp,
                "Identity": str(layout.orderer(item).certificate),
                **_consenter(item, layout, placement),
            }
            for at, item in enumerate(topology.organizations, 1)
        ],
        "SmartBFT": {
            "RequestBatchMaxInterval": f"{timings.batch_timeout_ms}ms",
            "RequestForwardTimeout": f"{timings.request_forward_ms}ms",
            "RequestComplainTimeout": f"{timings.request_complain_ms}ms",
            "RequestAutoRemoveTimeout": "3m",
            "ViewChangeResendInterval": f"{timings.view_change_resend_ms}ms",
            "ViewChangeTimeout": f"{timings.view_change_ms}ms",
            "LeaderHeartbeatTimeout": f"{timings.leader_heartbeat_ms}ms",
            "LeaderHeartbeatCount": 10,
            "CollectTimeout": "1s",
            "IncomingMessageBufferSize": 200,
            "RequestPoolSize": 100_000,
        },
    }


def _consenter(organization: Organization, layout: Layout, placement: Placement) -> dict[str, Any]:
    certificate = str(layout.orderer(organization).tls_certificate)
    return {
        "Host": placement.host(organization, "orderer"),
        "Port": organization.port("orderer"),
        "ClientTLSCert": certificate,
        "ServerTLSCert": certificate,
    }


def _peer_organization(organization: Organization, layout: Layout, placement: Placement) -> dict[str, Any]:
    anchor = {"Host": placement.host(organization, "peer"), "Port": organization.port("peer")}
    return {
        **_organization(organization.msp, str(layout.peer_organization(organization) / "msp"), writer="member"),
        "AnchorPeers": [anchor],
    }


def _orderer_organization(organization: Organization, layout: Layout, placement: Placement) -> dict[str, Any]:
    """Its ordering nodes alone are its writers: BlockValidation asks for any of them, so nobody else signs a block."""
    folder = str(layout.orderer_organization(organization) / "msp")
    return {
        **_organization(organization.orderer_msp, folder, writer="orderer"),
        "OrdererEndpoints": [placement.address(organization, "orderer")],
    }


def _organization(msp: str, folder: str, *, writer: str) -> dict[str, Any]:
    return {
        "Name": msp,
        "ID": msp,
        "MSPDir": folder,
        "Policies": {
            "Readers": _signature(f"OR('{msp}.member')"),
            "Writers": _signature(f"OR('{msp}.{writer}')"),
            "Admins": _signature(f"OR('{msp}.admin')"),
            "Endorsement": _signature(f"OR('{msp}.peer')"),
        },
    }


def _member_policies() -> dict[str, Any]:
    return {
        "Readers": _implicit("ANY Readers"),
        "Writers": _implicit("ANY Writers"),
        "Admins": _implicit("MAJORITY Admins"),
    }


def _implicit(rule: str) -> dict[str, str]:
    return {"Type": "ImplicitMeta", "Rule": rule}


def _signature(rule: str) -> dict[str, str]:
    return {"Type": "Signature", "Rule": rule}
