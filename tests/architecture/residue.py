"""How many seeded texts a node's memory still holds after an idle minute: ``python -m tests.architecture.residue``.

A measurement for docs/threat-model.md and not a claim: Python frees memory without wiping it. Needs root on Linux.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_canary import Seeds, numbers_in, share, windows, write
from tests.scenario.actors import acting

IDLE_S = 60
_MAPPED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw")


def memory_of(pid: int) -> Iterator[bytes]:
    """The writable memory of a process, mapping by mapping."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for found in filter(None, map(_MAPPED.match, maps.splitlines())):
            begin, end = int(found[1], 16), int(found[2], 16)
            memory.seek(begin)
            yield memory.read(end - begin)


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


if __name__ == "__main__":
    main()
