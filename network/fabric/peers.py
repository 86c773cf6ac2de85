"""The peers that a hospital talks to: its own, and those of others that also take submissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import grpc

from domain.errors import Invalid, Unavailable
from network.fabric.connection import Connection, PeerAddress
from network.fabric.deliver import Deliver
from network.fabric.gateway import (
    Contract,
    Gateway,
    GatewayError,
    Identity,
    Network,
    Signer,
    Sources,
    connect,
    private_key_signer,
    tls_channel,
)

MAX_FILE_BYTES: Final = 1 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """One peer as the hospital's identity uses it."""

    msp: str
    channel: grpc.Channel
    gateway: Gateway
    network: Network
    contract: Contract

    def close(self) -> None:
        """End every call and the connection."""
        self.gateway.close()
        self.channel.close()


class Peers:
    """All peers of a connection, the own one first. Nothing is sent before a call.

    Raises:
        Invalid: certificate, key or an authority's file is none.
        Unavailable: a file cannot be read.
    """

    def __init__(self, connection: Connection, sources: Sources | None = None) -> None:
        self._connection = connection
        self._sources = sources or Sources()
        self.identity, self.signer = identity_of(connection)
        self.own = self._open(connection.own_peer)
        self._others = tuple(self._open(address) for address in connection.other_peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter((self.own, *self._others))

    def close(self) -> None:
        """End every call and connection."""
        for peer in self:
            peer.close()

    def deliver(self) -> Deliver:
        """The own peer's Deliver service."""
        return Deliver(self.own.channel, self._connection.channel, self.identity, self.signer, self._sources)

    def _open(self, address: PeerAddress) -> Peer:
        channel = open_channel(address)
        gateway = connect(channel, self.identity, self.signer, sources=self._sources)
        network = gateway.get_network(self._connection.channel)
        return Peer(address.msp, channel, gateway, network, network.get_contract(self._connection.contract))


def identity_of(connection: Connection) -> tuple[Identity, Signer]:
    """The hospital's identity on the channel, and what signs for it.

    Raises:
        Invalid: certificate or key is none.
        Unavailable: a file cannot be read.
    """
    identity = _read(connection.certificate, "certificate", lambda pem: Identity(connection.msp, pem))
    return identity, _read(connection.key, "key", private_key_signer)


def open_channel(address: PeerAddress) -> grpc.Channel:
    """A TLS channel to a peer.

    Raises:
        Unavailable: the authority's file cannot be read.
    """
    root = _read(address.tls_root, "tls_root", lambda pem: pem)
    return tls_channel(address.address, root, server_name=address.server_name)


def _read(path: Path, place: str, parse: Callable[[bytes], _T]) -> _T:
    try:
        with path.open("rb") as stream:
            return parse(stream.read(MAX_FILE_BYTES))
    except OSError as error:
        detail = f"a file of the connection cannot be read: {error.strerror}"
        raise Unavailable(detail, reason="connection", place=place) from error
    except GatewayError as error:
        raise Invalid("a file of the connection is not what it should be", reason="connection", place=place) from error
