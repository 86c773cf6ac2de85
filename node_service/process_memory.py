"""The node's memory: what a large request took is given back. (Who may see it: :mod:`domain.process_memory`.)"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAPPED_FROM_BYTES: Final = 5 << 18
"""Chunks of sealed objects (1 MiB and a tag) are smaller: their buffers are used again, not mapped anew each time."""
_KEPT_FREE_BYTES: Final = 8 << 20
_ARENAS: Final = 2


def give_memory_back() -> None:
    """Let what a large request took go back to the operating system when it is freed (glibc's mallopt(3)).

    Left alone, the library raises its bound for blocks that are mapped, and so unmapped, to the largest that was freed,
    up to 32 MiB, and has up to eight arenas for each processor: after uploads of many sizes and in many threads their
    holes add up to more than the largest of them takes. Other C libraries are left as they are. Call it before threads
    begin.
    """
    library = ctypes.CDLL(None)
    if sys.platform != "linux" or not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
    library.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE_BYTES)
    library.mallopt(_M_ARENA_MAX, _ARENAS)
