"""Settings of every process as Fabric reads them (sampleconfig/{orderer,core}.yaml; JSON is YAML).

They are whole: no variable of the environment adds to them, and a key that is left out is not needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from network.topology.description import Organization
from network.topology.engine import EngineVersion
from network.topology.layout import Layout, NodeFiles, write_file
from network.topology.placement import Placement

TIME_WINDOW: Final = "60s"
"""How far a proposal's time may be from the peer's clock."""
_MAX_BATCH: Final = 1000
_KEEPALIVE: Final = {"ServerMinInterval": "5s", "ServerInterval": "7200s", "ServerTimeout": "20s"}
"""The command ``peer`` asks an ordering node every 10 s if it lives; the default, 60 s, would end its call."""
_SW: Final = {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}}
_FAST_GOSSIP: Final = {
    "publishStateInfoInterval": "500ms",
    "requestStateInfoInterval": "500ms",
    "aliveTimeInterval": "1s",
    "aliveExpirationTimeout": "5s",
    "reconnectInterval": "1s",
    "membershipTrackerInterval": "1s",
    "publishCertPeriod": "1s",
    "pullInterval": "1s",
}
"""With the defaults the gateway finds no combination of endorsers for up to 26 s after a start."""


def write_settings(
    layout: Layout, organization: Organization, placement: Placement, operator: Placement, version: EngineVersion
) -> None:
    """Write the settings of an organisation's processes, and of the command line that administers its peer.

    Args:
        placement: of the processes.
        operator: of whoever runs the command line.

    Raises:
        Unavailable: the disk refuses.
    """
    peer, orderer = organization.process("peer"), organization.process("orderer")
    _write(layout.settings(peer) / "core.yaml", peer_settings(organization, placement, version))
    _write(layout.settings(orderer) / "orderer.yaml", orderer_settings(organization, placement, version))
    _write(layout.settings(f"admin-{organization.name}") / "core.yaml", admin_settings(organization, operator))


def orderer_settings(organization: Organization, placement: Placement, version: EngineVersion) -> dict[str, Any]:
    """The file ``orderer.yaml``."""
    layout = Layout(placement.folder)
    files, data = layout.orderer(organization), layout.data(organization.process("orderer"))
    tls = {"Enabled": True, "PrivateKey": str(files.tls_key), "Certificate": str(files.tls_certificate)}
    mutual = {**tls, "ClientAuthRequired": True, "ClientRootCAs": [str(files.tls_root)]}
    return {
        "General": {
            "ListenAddress": placement.listen_host,
            "ListenPort": organization.port("orderer"),
            "LocalMSPID": organization.orderer_msp,
            "LocalMSPDir": str(files.msp),
            **({"BootstrapMethod": "none"} if version.has_bootstrap_method else {}),
            "TLS": tls,
            "Keepalive": _KEEPALIVE,
        },
        "FileLedger": {"Location": str(data / "ledger")},
        "Consensus": {"WALDir": str(data / "wal"), "SnapDir": str(data / "snapshots")},
        "ChannelParticipation": {"Enabled": True, "MaxRequestBodySize": "4 MB"},
        "Admin": {"ListenAddress": placement.listen(organization, "orderer-admin"), "TLS": mutual},
        "Operations": {"ListenAddress": placement.listen(organization, "orderer-operations"), "TLS": mutual},
        "Metrics": {"Provider": "prometheus"},
    }


def peer_settings(organization: Organization, placement: Placement, version: EngineVersion) -> dict[str, Any]:
    """The file ``core.yaml`` of the peer."""
    layout = Layout(placement.folder)
    files, data = layout.peer(organization), layout.data(organization.process("peer"))
    return {
        "peer": {
            **_identity(organization, placement, files.msp, files),
            "id": organization.process("peer"),
            "networkId": "yilian",
            "listenAddress": placement.listen(organization, "peer"),
            "chaincodeListenAddress": placement.listen(organization, "chaincode"),
            "chaincodeAddress": placement.address(organization, "chaincode"),
            "fileSystemPath": str(data),
            "gossip": _gossip(organization, placement),
            "gateway": {
                "enabled": True, "endorsementTimeout": "10s", "broadcastTimeout": "10s", "dialTimeout": "5s",
            },
            "discovery": {"enabled": True, "authCacheEnabled": True, "authCacheMaxSize": 1000,
                          "authCachePurgeRetentionRatio": 0.75},
            "deliveryclient": {"reConnectBackoffThreshold": "5s", "connTimeout": "3s"},
            **_handlers(version),
        },
        "vm": {"endpoint": ""},
        "chaincode": _chaincode(placement, version),
        "ledger": {
            "state": {"stateDatabase": "goleveldb"},
            "history": {"enableHistoryDatabase": True},
            "snapshots": {"rootDir": str(data / "snapshots")},
            "pvtdataStore": {"collElgProcMaxDbBatchSize": 5000, "collElgProcDbBatchesInterval": 1000},
        },
        "operations": {
            "listenAddress": placement.listen(organization, "peer-operations"),
            "tls": {
                "enabled": True,
                "cert": {"file": str(files.tls_certificate)},
                "key": {"file": str(files.tls_key)},
                "clientAuthRequired": True,
                "clientRootCAs": {"files": [str(files.tls_root)]},
            },
        },
        "metrics": {"provider": "prometheus"},
    }  # fmt: skip


def admin_settings(organization: Organization, operator: Placement) -> dict[str, Any]:
    """The file ``core.yaml`` of the command line ``peer`` as the organisation's administrator."""
    layout = Layout(operator.folder)
    return {"peer": _identity(organization, operator, layout.admin(organization).msp, layout.peer(organization))}


def _identity(organization: Organization, placement: Placement, msp: Path, wire: NodeFiles) -> dict[str, Any]:
    return {
        "address": placement.address(organization, "peer"),
        "localMspId": organization.msp,
        "mspConfigPath": str(msp),
        "tls": {
            "enabled": True,
            "cert": {"file": str(wire.tls_certificate)},
            "key": {"file": str(wire.tls_key)},
            "rootcert": {"file": str(wire.tls_root)},
        },
        "BCCSP": _SW,
        "client": {"connTimeout": "3s"},
    }


def _gossip(organization: Organization, placement: Placement) -> dict[str, Any]:
    own = placement.address(organization, "peer")
    return {
        "bootstrap": own,
        "externalEndpoint": own,
        "useLeaderElection": False,
        "orgLeader": True,
        "pvtData": {
            "pushAckTimeout": "3s",
            "pullRetryThreshold": "5s",
            "btlPullMargin": 10,
            "reconcileBatchSize": 10,
            "reconcileSleepInterval": "10s",
            "reconciliationEnabled": True,
            "transientstoreMaxBlockRetention": 1000,
            "implicitCollectionDisseminationPolicy": {"requiredPeerCount": 0, "maxPeerCount": 1},
        },
        **_FAST_GOSSIP,
    }


def _handlers(version: EngineVersion) -> dict[str, Any]:
    filters = [{"name": "DefaultAuth"}, {"name": "ExpirationCheck"}]
    window = {}
    if version.has_time_window:
        filters.append({"name": "TimeWindowCheck"})
        window = {"authentication": {"timewindow": TIME_WINDOW}}
    return {
        "handlers": {
            "authFilters": filters,
            "decorators": [{"name": "DefaultDecorator"}],
            "endorsers": {"escc": {"name": "DefaultEndorsement"}},
            "validators": {"vscc": {"name": "DefaultValidation"}},
        },
        **window,
    }


def _chaincode(placement: Placement, version: EngineVersion) -> dict[str, Any]:
    batches = {
        "runtimeParams": {
            "useWriteBatch": True,
            "maxSizeWriteBatch": _MAX_BATCH,
            "useGetMultipleKeys": True,
            "maxSizeGetMultipleKeys": _MAX_BATCH,
        }
    }
    return {
        "mode": "net",
        "executetimeout": "30s",
        "installTimeout": "60s",
        "system": {"_lifecycle": "enable", "cscc": "enable", "lscc": "enable", "qscc": "enable"},
        "externalBuilders": [{"name": "ccaas", "path": str(placement.builder), "propagateEnvironment": ["PATH"]}],
        **(batches if version.has_write_batches else {}),
    }


def _write(path: Path, settings: dict[str, Any]) -> None:
    write_file(path, (json.dumps(settings, indent=1) + "\n").encode())
