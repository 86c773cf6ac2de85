"""Targets: what comes back from stores and backups, which others may have written."""

from __future__ import annotations

from functools import cache, partial
from typing import Final

from domain.errors import Tampered
from domain.identifiers import encode_bytes
from node_service.backup.manifest import (
    CUSTODY_LOG,
    DATABASE,
    IDENTITY,
    OBJECTS_LIST,
    Manifest,
    encode_signed,
    parse_signed,
)
from offchain.envelope import composite
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal
from offchain.envelope.suite import A256GCM_1M
from offchain.envelope.unseal import unseal
from offchain.stores.ipfs.segment import MAX_TABLE_BYTES, parse_table, pieces
from tests.fuzz.target import SECRET, Target, accepted
from tests.unit.offchain.sealing import KEY, OBJECT_ID, OTHER_OBJECT_ID, header

_DIGEST: Final = encode_bytes(bytes(32))


def fuzz_segment(data: bytes) -> None:
    """The objects of a segment fill it, one after the other, and make the same segment again."""
    for spans in accepted(partial(parse_table, data[:MAX_TABLE_BYTES], len(data)), Tampered):
        assert len(spans) > 1
        objects = [data[span.offset : span.offset + span.length] for span in spans]
        assert b"".join(bytes(piece) for piece in pieces(objects)) == data


def fuzz_composite(data: bytes) -> None:
    """The content of a manifest that another hospital sealed: it names members whose keys were wrapped for it."""
    plain = PlainBytes(data, Description(composite.MANIFEST_TYPE))
    sealed = seal(plain, KEY, header(suite=A256GCM_1M))
    opened = sealed.verified(sealed.digest)
    for manifest in accepted(partial(composite.open_manifest, opened, KEY, object_id=OBJECT_ID), Tampered):
        assert SECRET not in repr(manifest)
        for member in manifest.members:
            assert (member.object_id, member.digest) in _NAMED, "a member's key was unwrapped elsewhere"
            assert manifest.member(member.object_id) == member


def fuzz_backup(data: bytes) -> None:
    """The manifest of a backup has one spelling: what is authenticated is what stands in the file."""
    for manifest, mac in accepted(partial(parse_signed, data), Tampered):
        assert encode_signed(manifest, mac) == data


_NAMED: Final = {(OBJECT_ID, _DIGEST), (OTHER_OBJECT_ID, _DIGEST)}


@cache
def _manifests() -> list[bytes]:
    """The keys are wrapped with fresh nonces, so that these differ from run to run."""
    members = [
        composite.Member(object_id, digest, 7, DataKey(bytes([number]) * 32), {SECRET: SECRET})
        for number, (object_id, digest) in enumerate(sorted(_NAMED))
    ]
    made = []
    for few in (members, members[:1]):
        sealed = composite.seal_manifest(composite.Manifest(tuple(few), {"a": [SECRET]}), KEY, header(suite=A256GCM_1M))
        opened = unseal(sealed.verified(sealed.digest), KEY, object_id=OBJECT_ID)
        made.append(opened.whole(max_bytes=1 << 16).content)
    return made


def _segments() -> list[bytes]:
    return [b"".join(bytes(piece) for piece in pieces(objects)) for objects in ([b"ab", b"c"], [b"", b"", b"x" * 99])]


def _backups() -> list[bytes]:
    names = (IDENTITY, OBJECTS_LIST, CUSTODY_LOG, DATABASE)
    made = [Manifest("AMSP", "2026-01-01T00:00:00Z", dict.fromkeys(some, _DIGEST), 3, 1) for some in (names, names[:3])]
    return [encode_signed(manifest, bytes(32)) for manifest in made]


TARGETS: Final = (
    Target("segment", fuzz_segment, _segments, takes_json=False),
    Target("composite", fuzz_composite, _manifests),
    Target("backup", fuzz_backup, _backups),
)
