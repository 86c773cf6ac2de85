"""Peak memory of sealing and storing a large content, over an idle process of the same imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import content_file

MAX_OVER_IDLE_MIB: Final = 64
_PROGRAM: Final = """
import sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from offchain.envelope.seal import seal_stream
from offchain.stores.local import LocalStore
from scripts.bench.inputs import DESCRIPTION, fresh_header, fresh_key, pieces

def kibibytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

content, store = Path(sys.argv[1]), LocalStore(Path(sys.argv[2]))
Path("/proc/self/clear_refs").write_text("5")
idle = kibibytes("VmRSS:")
with ThreadPoolExecutor(2) as executor:
    stream = seal_stream(pieces(content), DESCRIPTION, fresh_key(), fresh_header(),
                         length=content.stat().st_size, executor=executor)
    stored = store.put(stream)
store.delete(stored.digest)
print((kibibytes("VmHWM:") - idle) / 1024)
"""


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Each round is a process of its own, so that its peak is its own."""
    content = content_file(place)

    def peak() -> float:
        return max(0.01, _over_idle(content, place.folder / "store"))

    yield Comparison(
        operation=f"seal + hash + store, {place.mebibytes} MiB: peak memory over idle",
        unit="MiB",
        ours=Side("seal_stream → LocalStore.put", peak),
        goal=Goal(Figure.AMOUNT, MAX_OVER_IDLE_MIB),
    )


def _over_idle(content: Path, store: Path) -> float:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, str(content), str(store)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
