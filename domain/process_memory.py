"""A process that holds secrets: its memory stays out of core files and of other processes' sight.

Two locks keep it private: the limit on core files, and Linux' dumpable flag, which also holds where cores are piped to
a collector (core(5)) and closes ``/proc/<pid>/mem``, ``environ`` and ptrace to other processes of the same user
(prctl(2), ptrace(2)). The machine's root still sees memory; so does whoever holds its swap: it has to be encrypted or
off. Nothing of the domain calls this: programs do, before anything else. A program that is executed is open again
until it says so (execve(2)).
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Final

from domain.errors import Unavailable

_PR_SET_DUMPABLE: Final = 4


def forbid_core_files() -> None:
    """Let no crash of this process write its memory anywhere, and nobody but root look into it while it runs.

    Raises:
        Unavailable: the operating system refused; what holds secrets does not start like that.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        name = os.strerror(ctypes.get_errno())
        raise Unavailable(f"the process cannot be kept out of core files: {name}", reason="core-files")
