"""Opens the store that a list of places names."""

from __future__ import annotations

import fcntl
import os
import ssl
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import httpx

from domain.errors import Invalid
from domain.identifiers import decode_bytes, encode_bytes
from domain.ports import Clock
from offchain.disk import Disk, disk_errors
from offchain.stores import SealedStore
from offchain.stores.ipfs.rpc import KuboRpc, check_address
from offchain.stores.ipfs.store import IpfsStore
from offchain.stores.local import LocalStore
from offchain.stores.lock import locked
from offchain.stores.mirrored import MirroredStore

LOCAL: Final = "local"
OBJECTS_FOLDER: Final = "objects"
IPFS_FOLDER: Final = "ipfs"
MIRRORS_FOLDER: Final = "mirrors"
STORE_ID_FILE: Final = "store-id"
"""What names the pins of one data folder; it is part of a backup, so that a restored node finds them again."""
_STORE_ID_BYTES: Final = 16
_LOCK_WAIT_S: Final = 10.0
_MAX_TOKEN_BYTES: Final = 4096


def check_places(places: Sequence[str], token: str, *, plain: bool = False) -> None:
    """Each place is ``local`` or a safe address of Kubo's RPC.

    Args:
        plain: see :func:`offchain.stores.ipfs.rpc.check_address`.

    Raises:
        Invalid: one is not.
    """
    for place in places:
        if place != LOCAL:
            check_address(place, token, plain=plain)


def read_token(path: Path | None) -> str:
    """The token of Kubo's RPC (Kubo: ``API.Authorizations``), which nobody but the owner may read.

    Raises:
        Invalid: the file cannot be read, or others may read it.
    """
    if path is None:
        return ""
    try:
        with disk_errors("reading the token"), Disk().opened(path) as descriptor:
            mode, text = path.stat().st_mode, Disk().read_at(descriptor, 0, _MAX_TOKEN_BYTES)
    except FileNotFoundError:
        raise Invalid("the file of the token is not there", reason="ipfs-token") from None
    if mode & 0o077:
        raise Invalid("others may read the file of the token; its mode is 0600", reason="ipfs-token")
    return text.decode("ascii", "replace").strip()


def open_store(
    places: Sequence[str],
    data_dir: Path,
    clock: Clock,
    opened: ExitStack,
    *,
    name: str,
    token: str = "",
    plain: bool = False,
    trusted: ssl.SSLContext | None = None,
    quorum: int = 0,
) -> SealedStore:
    """The store of one node: at one place, or mirrored at several.

    Args:
        name: of the pins in Kubo, beside the store's own id; it does not leave that node.
        plain: the token may go over plain HTTP, see :func:`offchain.stores.ipfs.rpc.check_address`.
        trusted: whose certificates count at https addresses; None: those of the public authorities.
        quorum: of a mirrored store; 0 means all.

    Raises:
        Invalid: a place is none, or its address is not safe.
        Unavailable, Tampered: a folder or index cannot be opened.
    """
    check_places(places, token, plain=plain)

    def ipfs(place: str) -> IpfsStore:
        folder = data_dir / IPFS_FOLDER / _mirror_name(place)
        rpc = KuboRpc(place, token, plain=plain, trusted=trusted)
        return IpfsStore(rpc, folder, name=f"{name}/{store_id(data_dir)}")

    stores: list[tuple[str, SealedStore]] = [
        (LOCAL, LocalStore(data_dir / OBJECTS_FOLDER))
        if place == LOCAL
        else (_mirror_name(place), opened.enter_context(closing(ipfs(place))))
        for place in places
    ]
    if len(stores) == 1:
        return stores[0][1]
    quorum = quorum or len(stores)
    return opened.enter_context(closing(MirroredStore(stores, data_dir / MIRRORS_FOLDER, clock, quorum=quorum)))


def store_id(data_dir: Path) -> str:
    """The random id of a data folder's store, made when it is first asked for.

    Raises:
        Invalid: the file holds none.
        Unavailable: the file cannot be read or made.
    """
    path, folder = data_dir / STORE_ID_FILE, data_dir / IPFS_FOLDER
    with disk_errors("making the store's id"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / "lock", fcntl.LOCK_EX, _LOCK_WAIT_S):
        if not path.exists():
            Disk().replace_file(path, f"{encode_bytes(os.urandom(_STORE_ID_BYTES))}\n".encode())
        with disk_errors("reading the store's id"), Disk().opened(path) as descriptor:
            found = Disk().read_at(descriptor, 0, path.stat().st_size).decode("ascii", "replace").strip()
    decode_bytes(found, STORE_ID_FILE, length=_STORE_ID_BYTES)
    return found


def _mirror_name(place: str) -> str:
    """The index of a Kubo node lies in a folder of the node's name, so that no other node is taken for it."""
    url = httpx.URL(place)
    host = "".join(one if one.isalnum() or one in ".-" else "-" for one in url.host)
    return f"ipfs-{host}-{url.port or (443 if url.scheme == 'https' else 80)}"
