"""Where a witness of the command line gets its blocks: an embedded ledger's folder, or a Fabric channel's own peer."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from domain.errors import Invalid
from network.embedded.layout import Layout
from network.embedded.raw_blocks import RawBlockFile
from network.verifier.channel_file import read_channel_file
from network.verifier.source import RawBlocks
from network.witness.folder import WitnessIdentity


class OpenBlocks(RawBlocks, Protocol):
    """A source that is closed at the end."""

    def close(self) -> None:
        """Close it."""


def witness_identity(ledger: Path | None, fabric: Path | None, msp: str | None, genesis: str | None) -> WitnessIdentity:
    """What a new witness witnesses; ``genesis`` from elsewhere wins over what the files say.

    Raises:
        Invalid: not exactly one of the two is given, the hospital is named nowhere, or twice and differently.
        Unavailable: a file cannot be read.
    """
    _check_one(ledger, fabric)
    if ledger is not None:
        if msp is None:
            raise Invalid("name the witness's hospital", reason="arguments", place="--msp")
        channel = read_channel_file(Layout(ledger).channel)
        return WitnessIdentity(channel.channel, channel.contract, genesis or channel.genesis, msp)
    from network.fabric.connection import Connection  # noqa: PLC0415 - gRPC is for those who use it

    connection = Connection.read(fabric or Path())
    if msp not in (None, connection.msp):
        raise Invalid("the connection file is another hospital's", reason="arguments", place="--msp")
    return WitnessIdentity(connection.channel, connection.contract, genesis or connection.genesis, connection.msp)


def witness_source(ledger: Path | None, fabric: Path | None, identity: WitnessIdentity) -> OpenBlocks:
    """The blocks that a witness follows.

    Raises:
        Invalid: not exactly one of the two is given, or the connection file is another hospital's or channel's.
        Unavailable: a file cannot be read.
    """
    _check_one(ledger, fabric)
    if ledger is not None:
        return RawBlockFile(ledger)
    from network.fabric.connection import Connection  # noqa: PLC0415 - gRPC is for those who use it
    from network.fabric.raw_blocks import open_blocks  # noqa: PLC0415 - idem

    connection = Connection.read(fabric or Path())
    if (connection.msp, connection.channel) != (identity.msp, identity.channel):
        raise Invalid("the connection file is of another hospital or channel", reason="arguments", place="--fabric")
    return open_blocks(connection)


def _check_one(ledger: Path | None, fabric: Path | None) -> None:
    if (ledger is None) == (fabric is None):
        raise Invalid("give either --ledger or --fabric", reason="arguments")
