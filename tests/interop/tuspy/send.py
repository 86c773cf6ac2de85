"""Sends a file by tuspy, in an environment of its own: arguments are the address, the token, the file, and a command.

``part``: send one part, print the address of the upload. ``rest ADDRESS``: go on there to the end, print the offset.
``cancel ADDRESS``: end it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import requests
from tusclient.client import TusClient  # type: ignore[import-not-found]  # in an environment of its own

PART_BYTES = 100_000


def main(url: str, token: str, path: str, command: str, address: str | None = None) -> None:
    """Do it."""
    headers = {"Authorization": f"Bearer {token}"}
    client = TusClient(url, headers=headers)
    if command == "cancel" and address is not None:
        answer = requests.delete(address, headers={**headers, "Tus-Resumable": "1.0.0"}, timeout=30)
        sys.stdout.write(str(answer.status_code))
        return
    metadata = {"filename": Path(path).name, "filetype": "application/dicom", "upload": "tuspy", "source": "pacs-tuspy"}
    uploader = client.uploader(path, url=address, chunk_size=PART_BYTES, metadata=metadata, retries=3, retry_delay=1)
    if command == "part":
        uploader.upload_chunk()
        sys.stdout.write(uploader.url)
    else:
        uploader.upload()
        sys.stdout.write(str(uploader.offset))


main(*sys.argv[1:])
