"""A process whose threads write rows of the access log until it is killed: ``python -m … DIRECTORY``.

Each line that it prints is the id of one row that was acknowledged.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from node_service.access_log.rows import Entry, record_alone
from tests.unit.node_service.records.hospital import MSP_ID, Hospital, open_hospital

THREADS = 8


def _write(hospital: Hospital) -> None:
    while True:
        (row,) = record_alone(hospital.node, Entry("search", MSP_ID, "system"))
        os.write(sys.stdout.fileno(), f"{row}\n".encode())  # one whole line, or none


if __name__ == "__main__":
    opened = open_hospital(Path(sys.argv[1]))
    for _ in range(THREADS):
        threading.Thread(target=_write, args=(opened,)).start()
