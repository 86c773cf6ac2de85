"""Reads files of an IPFS node with ipfshttpclient: ``python read.py MULTIADDR FOLDER CID…`` writes each to FOLDER/CID.

Prints JSON: what was found of each CID, and which kinds of warnings were seen.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import ipfshttpclient  # type: ignore[import-not-found]  # in an environment of its own


def main(address: str, folder: Path, cids: list[str]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with ipfshttpclient.connect(address) as client:
            found = {cid: _read(client, folder, cid) for cid in cids}
    kinds = sorted({one.category.__name__ for one in seen})
    print(json.dumps({"files": found, "warnings": kinds}))  # noqa: T201


def _read(client: Any, folder: Path, cid: str) -> dict[str, Any]:
    data = client.cat(cid)
    (folder / cid).write_bytes(data)
    return {
        "range": client.cat(cid, offset=100, length=50).hex(),
        "pin": client.pin.ls(cid)["Keys"][cid]["Type"],
        "size": client.files.stat(f"/ipfs/{cid}")["Size"],
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
