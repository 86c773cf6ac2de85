"""Sealing a new base: what is live goes over, what was forgotten leaves only its tombstone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from domain.identifiers import IDENTIFIER_BYTES, identifier
from offchain.custody.forgetting.base import BaseHeader, Replaced, sealed_pieces
from offchain.custody.forgetting.entries import ENTRY_BYTES, encode_tombstone
from offchain.custody.forgetting.layout import BaseFiles, BaseKey
from offchain.custody.forgetting.view import View
from offchain.disk import Disk

Entries = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class NewBase:
    """A base that is on disk and not current yet."""

    files: BaseFiles
    key: BaseKey


def write_first(files: BaseFiles, at: str, disk: Disk) -> NewBase:
    """An empty first base.

    Raises:
        Unavailable: the disk failed.
    """
    header = BaseHeader(identifier(os.urandom(IDENTIFIER_BYTES)), files.number, at, 0, 0, None)
    return _write(files, header, iter(()), disk)


def write_next(view: View, at: str, disk: Disk) -> NewBase:
    """The next base under a fresh key, without the secrets of what was forgotten.

    Raises:
        Tampered: the present base was altered.
        Unavailable: the disk failed.
    """
    former = view.base.header
    with disk.opened(view.files.base) as descriptor:
        live_gone = {record for record in view.gone if view.base.secret(descriptor, record) is not None}
        again = {record for record in view.gone if view.base.tombstone(descriptor, record) is not None}
    header = BaseHeader(
        identifier(os.urandom(IDENTIFIER_BYTES)),
        former.number + 1,
        at,
        former.secrets + len(view.fresh) - len(live_gone),
        former.tombstones + len(view.gone) - len(again),
        Replaced(former.base_id, view.end),
    )
    gone = {record: encode_tombstone(record, tombstone) for record, tombstone in view.gone.items()}
    secrets = merged(view.base.secrets(), view.fresh, frozenset(live_gone))
    tombstones = merged(view.base.tombstones(), gone, frozenset(again))
    return _write(BaseFiles(view.files.folder, header.number), header, _joined(secrets, tombstones), disk)


def merged(blocks: Entries, added: dict[bytes, bytes], without: frozenset[bytes]) -> Entries:
    """Sorted blocks with further entries sorted in, and those of some records left out."""
    rest = sorted(added.values())
    taken = 0
    for block in blocks:
        entries = [block[start : start + ENTRY_BYTES] for start in range(0, len(block), ENTRY_BYTES)]
        last = entries[-1]
        until = taken
        while until < len(rest) and rest[until] < last:
            until += 1
        if without:
            entries = [entry for entry in entries if entry[:IDENTIFIER_BYTES] not in without]
        if until > taken:
            entries = sorted(entries + rest[taken:until])
        taken = until
        yield b"".join(entries)
    yield b"".join(rest[taken:])


def _joined(*parts: Entries) -> Entries:
    for part in parts:
        yield from part


def _write(files: BaseFiles, header: BaseHeader, entries: Entries, disk: Disk) -> NewBase:
    """Key first: it is worth nothing alone, and a base without key is waste."""
    key = BaseKey.generate()
    for path in (files.key, files.base, files.increments):
        disk.remove(path)
    disk.write_file(files.key, (key.reveal(),), sync=True)
    disk.write_file(files.base, sealed_pieces(header, key, entries), sync=True)
    disk.write_file(files.increments, (), sync=True)
    disk.sync_directory(files.folder)
    return NewBase(files, key)
