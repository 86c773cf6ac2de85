"""The commit hash, against an encoder made from Fabric's own message definition (update_batch.proto)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from network.blocks.commit_hash import commit_hash
from network.blocks.mvcc import BlockUpdates
from network.blocks.rwset import CollectionRwset, HashedWrite, NamespaceRwset, Write
from network.verifier.world_state import WorldState

BYTES, TEXT, FLAG, MESSAGE = 12, 9, 8, 11
ONE, MANY = 1, 3


def _batch() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="update_batch.proto", package="test", syntax="proto3")
    write = file.message_type.add(name="KVWriteProto")
    fields = (
        ("namespace", TEXT), ("collection", TEXT), ("key", BYTES), ("isDelete", FLAG), ("value", BYTES),
        ("version_bytes", BYTES),
    )  # fmt: skip
    for number, (name, kind) in enumerate(fields, 1):
        write.field.add(name=name, number=number, type=kind, label=ONE)
    batch = file.message_type.add(name="KVWritesBatchProto")
    batch.field.add(name="kvwrites", number=1, type=MESSAGE, label=MANY, type_name=".test.KVWriteProto")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.KVWritesBatchProto"))()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("block", "tx", "version"),
    [(0, 0, "0000"), (5, 0, "010500"), (256, 3, "0201000103"), (2**40, 1, "060100000000000101")],
)
def test_updates_are_sorted_and_names_written_once(block: int, tx: int, version: str) -> None:
    updates = BlockUpdates(WorldState(), block)
    private = CollectionRwset("col", (), (HashedWrite(b"\x09", b"\x01"), HashedWrite(b"\x08", None)))
    updates.apply(
        (
            NamespaceRwset("zoo", writes=(Write("b", b"2"), Write("a", None)), collections=(private,)),
            NamespaceRwset("ant", writes=(Write("\U0001f600", b"x"), Write("\uffff", b"y" * 300))),
        ),
        tx,
    )
    batch = _batch()
    at = bytes.fromhex(version)
    batch.kvwrites.add(namespace="ant", key="\uffff".encode(), value=b"y" * 300, version_bytes=at)
    batch.kvwrites.add(key="\U0001f600".encode(), value=b"x", version_bytes=at)
    batch.kvwrites.add(namespace="zoo", key=b"a", isDelete=True, version_bytes=at)
    batch.kvwrites.add(key=b"b", value=b"2", version_bytes=at)
    batch.kvwrites.add(collection="col", key=b"\x08", isDelete=True, version_bytes=at)
    batch.kvwrites.add(key=b"\x09", value=b"\x01", version_bytes=at)
    codes = bytes(200)
    expected = hashlib.sha256(b"\xc8\x01" + codes + batch.SerializeToString() + b"previous").digest()
    assert commit_hash(b"previous", codes, updates) == expected


def test_a_collection_alone_names_its_namespace() -> None:
    updates = BlockUpdates(WorldState(), 1)
    private = CollectionRwset("col", (), (HashedWrite(b"\x09", b"\x01"),))
    updates.apply((NamespaceRwset("zoo", collections=(private,)),), 0)
    batch = _batch()
    batch.kvwrites.add(namespace="zoo", collection="col", key=b"\x09", value=b"\x01", version_bytes=b"\x01\x01\x00")
    assert commit_hash(b"", b"\0", updates) == hashlib.sha256(b"\x01\0" + batch.SerializeToString()).digest()
