"""Export of an embedded ledger for auditors (:mod:`network.verifier.export`); no key is read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from network.embedded.layout import Layout
from network.embedded.raw_blocks import RawBlockFile
from network.verifier.channel_file import read_channel_file
from network.verifier.export import write_export


def export(directory: Path, destination: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Copies every block that exists now; gives their number.

    Args:
        directory: of the ledger.
        destination, progress: as :func:`network.verifier.export.write_export`.

    Raises:
        Conflict: the destination holds an export of another ledger, or anything else.
        Invalid: the directory holds no ledger.
        Tampered: a block is missing.
        Unavailable: a disk refuses.
    """
    channel = read_channel_file(Layout(directory).channel)
    with closing(RawBlockFile(directory)) as source:
        return write_export(source, channel, destination, progress)
