"""A client of Fabric's Gateway service (2.4 and later) that mirrors the official ones; see docs/gateway-client.md."""

from network.fabric.gateway.block_events import (
    Block,
    BlockAndPrivateData,
    BlockEventsRequest,
    FilteredBlock,
    FilteredTransaction,
)
from network.fabric.gateway.chaincode_events import ChaincodeEvent, ChaincodeEventsRequest
from network.fabric.gateway.channel import ClientCertificate, plain_channel, tls_channel
from network.fabric.gateway.checkpointer import Checkpoint, FileCheckpointer, InMemoryCheckpointer
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
from network.fabric.gateway.stream import EventStream
from network.fabric.gateway.transaction import Transaction

__all__ = [
    "Block",
    "BlockAndPrivateData",
    "BlockEventsRequest",
    "ChaincodeEvent",
    "ChaincodeEventsRequest",
    "Checkpoint",
    "CheckpointError",
    "ClientCertificate",
    "Commit",
    "CommitError",
    "CommitStatusError",
    "Contract",
    "Deadlines",
    "EndorseError",
    "ErrorDetail",
    "EventStream",
    "FileCheckpointer",
    "FilteredBlock",
    "FilteredTransaction",
    "Gateway",
    "GatewayError",
    "Identity",
    "InMemoryCheckpointer",
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
