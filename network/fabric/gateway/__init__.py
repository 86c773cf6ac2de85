"""A client of Fabric's Gateway service (2.4 and later) that mirrors the official ones; see docs/gateway-client.md."""

from network.fabric.gateway.channel import ClientCertificate, plain_channel, tls_channel
from network.fabric.gateway.commit import Commit, Status
from network.fabric.gateway.contract import Contract
from network.fabric.gateway.errors import (
    CheckpointError,
    CommitError,
    CommitStatusError,
    EndorseError,
    ErrorDetail,
    GatewayError,
    MalformedError,
    SigningError,
    SubmitError,
)
from network.fabric.gateway.gateway import Gateway, connect
from network.fabric.gateway.identity import Identity
from network.fabric.gateway.network import Network
from network.fabric.gateway.proposal import Proposal
from network.fabric.gateway.rpc import Deadlines
from network.fabric.gateway.signers import Signer, private_key_signer
from network.fabric.gateway.sources import Sources
from network.fabric.gateway.transaction import Transaction

__all__ = [
    "CheckpointError",
    "ClientCertificate",
    "Commit",
    "CommitError",
    "CommitStatusError",
    "Contract",
    "Deadlines",
    "EndorseError",
    "ErrorDetail",
    "Gateway",
    "GatewayError",
    "Identity",
    "MalformedError",
    "Network",
    "Proposal",
    "Signer",
    "SigningError",
    "Sources",
    "Status",
    "SubmitError",
    "Transaction",
    "connect",
    "plain_channel",
    "private_key_signer",
    "tls_channel",
]
