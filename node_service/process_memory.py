"""The process's memory: keys and opened records stay out of core files and others' sight; what is freed is given back.

Two locks keep it private: the limit on core files, and Linux' dumpable flag, which also holds where cores are piped to
a collector (core(5)) and closes ``/proc/<pid>/mem`` and ptrace to other processes of the same user (prctl(2),
ptrace(2)). The machine's root still sees memory; so does whoever holds its swap: it has to be encrypted or off.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Final

from domain.errors import Unavailable

_PR_SET_DUMPABLE: Final = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAPPED_FROM_BYTES: Final = 5 << 18
"""Chunks of sealed objects (1 MiB and a tag) are smaller: their buffers are used again, not mapped anew each time."""
_KEPT_FREE_BYTES: Final = 8 << 20
_ARENAS: Final = 2


def forbid_core_files() -> None:
    """Let no crash of this process write its memory anywhere.

    Raises:
        Unavailable: the operating system refused; a node does not start like that.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        name = os.strerror(ctypes.get_errno())
        raise Unavailable(f"the process cannot be kept out of core files: {name}", reason="core-files")


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
