"""A process that makes, forgets and re-keys until it is killed: ``python -m tests.faults.custody.worker FOLDER``.

Each line that it prints was acknowledged: ``kept RECORD HASH``, ``forgotten RECORD``, ``rekeyed``;
``forgetting RECORD`` was asked for.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
from pathlib import Path

from domain.identifiers import identifier
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.replica.folder import ReplicaFolder

AT = "2026-03-01T08:00:00Z"


def main(folder: Path) -> None:
    store = ForgettingStore(folder / "secrets", mirror=ReplicaFolder(folder / "replica"))
    for turn in itertools.count(1):
        records = [identifier(os.urandom(16)) for _ in range(5)]
        for record, secret in zip(records, store.obtain(records), strict=True):
            print("kept", record, hashlib.sha256(secret.reveal()).hexdigest(), flush=True)  # noqa: T201
        print("forgetting", records[0], flush=True)  # noqa: T201
        store.forget(records[:1], AT)
        print("forgotten", records[0], flush=True)  # noqa: T201
        if turn % 3 == 0:
            store.rekey(AT)
            print("rekeyed", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
