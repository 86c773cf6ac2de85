"""Export of a Fabric channel for auditors, from one hospital's own peer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from network.fabric.connection import Connection
from network.fabric.raw_blocks import open_blocks
from network.verifier.channel_file import ChannelFile
from network.verifier.export import write_export


def export_channel(connection_file: Path, destination: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Copies every block that the own peer has now; gives their number.

    Args:
        connection_file: format ``yilian-fabric-connection``; its genesis digest goes into ``channel.json``.
        destination, progress: as :func:`network.verifier.export.write_export`.

    Raises:
        Invalid: the connection file is none.
        Conflict: the destination holds an export of another ledger, or anything else.
        Unavailable: peer or disk refuses.
    """
    connection = Connection.read(connection_file)
    channel = ChannelFile(connection.channel, connection.contract, connection.genesis)
    with closing(open_blocks(connection)) as source:
        return write_export(source, channel, destination, progress)
