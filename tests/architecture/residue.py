"""How many seeded texts a node's memory still holds after an idle minute: ``python -m tests.architecture.residue``.

A measurement for docs/threat-model.md and not a claim: Python frees memory without wiping it. Needs root on Linux.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from tests.architecture.test_canary import Seeds, numbers_in, share, windows, write
from tests.scenario.actors import acting

IDLE_S = 60
_PAGE_BYTES, _PIECE_BYTES = 4096, 1 << 24
_MAPPED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw")


def memory_of(pid: int) -> Iterator[bytes]:
    """The writable memory of a process, mapping by mapping."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for found in filter(None, map(_MAPPED.match, maps.splitlines())):
            begin, end = int(found[1], 16), int(found[2], 16)
            yield from _used(memory, begin, end)


def _used(memory: FileIO, begin: int, end: int) -> Iterator[bytes]:
    """Runs of pages that hold anything: reserved memory that was never touched is many times more."""
    memory.seek(begin)
    run = bytearray()
    while begin < end:
        piece = memory.read(min(_PIECE_BYTES, end - begin))
        if not piece:
            break
        begin += len(piece)
        for at in range(0, len(piece), _PAGE_BYTES):
            page = piece[at : at + _PAGE_BYTES]
            if page.strip(b"\0"):
                run += page
            elif run:
                yield bytes(run)
                run.clear()
    yield bytes(run)


def counted(pid: int, texts: list[str]) -> tuple[int, int]:
    """How many of the texts are found, and how many bytes were searched."""
    wanted, found, total = windows(texts), set[int](), 0
    for content in memory_of(pid):
        total += len(content)
        found |= numbers_in(content, wanted)
    return len(found), total


def main() -> None:
    """Live, look, wait, look again."""
    seeds = Seeds()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        network, elsewhere = Path(folder, "network"), Path(folder, "elsewhere")
        network.mkdir()
        elsewhere.mkdir()
        patch.setenv("TMPDIR", folder)
        with acting(network) as actors:
            patient, writes = write(actors, seeds, elsewhere)
            share(actors, seeds, patient, elsewhere)
            actors.wait_anchored()
            process = actors.home.process
            assert process is not None
            for waited in (0, IDLE_S):
                time.sleep(waited)
                found, total = counted(process.pid, seeds.made)
                told = f"{found} of {len(seeds.made)} texts in {total >> 20} MiB after {writes} writes and {waited} s"
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
