"""The package is what Fabric's peer reads, and the same for everybody."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from chaincode.service.package import build_package, package_id
from domain.errors import Invalid

CONNECTION = {"address": "127.0.0.1:7070", "dial_timeout": "5s", "tls_required": False}
GOLDEN = "86e08e795a33ce09d5332e6aefbbe137bdab95f64e5a9d6c7dd19b1112281349"


def files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        found = {}
        for entry in opened:
            assert entry.isreg()
            content = opened.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
        return found


def test_a_package_holds_metadata_and_the_connection() -> None:
    outer = files(build_package("yilian_1", CONNECTION))
    assert list(outer) == ["metadata.json", "code.tar.gz"]
    assert json.loads(outer["metadata.json"]) == {"type": "ccaas", "label": "yilian_1"}
    inner = files(outer["code.tar.gz"])
    assert {name: json.loads(content) for name, content in inner.items()} == {"connection.json": CONNECTION}


def test_the_id_is_label_and_digest() -> None:
    package = build_package("yilian_1", CONNECTION)
    assert package_id("yilian_1", package) == "yilian_1:" + hashlib.sha256(package).hexdigest()


def test_the_same_content_gives_the_same_bytes_in_any_order_and_on_any_machine() -> None:
    package = build_package("yilian_1", CONNECTION)
    assert build_package("yilian_1", dict(reversed(CONNECTION.items()))) == package
    assert hashlib.sha256(package).hexdigest() == GOLDEN


def test_a_long_connection_is_read_back() -> None:
    connection = {**CONNECTION, "root_cert": "x" * 200_000}
    inner = files(files(build_package("yilian_1", connection))["code.tar.gz"])
    assert json.loads(inner["connection.json"]) == connection


def test_another_address_is_another_package() -> None:
    assert build_package("yilian_1", {**CONNECTION, "address": "127.0.0.1:7071"}) != build_package(
        "yilian_1", CONNECTION
    )


def test_the_archive_tells_nothing_of_the_machine_that_made_it() -> None:
    raw = gzip.decompress(build_package("yilian_1", CONNECTION))
    with tarfile.open(fileobj=io.BytesIO(raw)) as opened:
        assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in opened} == {(0, 0, "", 0)}


@pytest.mark.parametrize("label", ["", "_a", "a b", "a/b", "a\n", "é", "a" * 129])
def test_a_label_that_fabric_refuses_is_refused(label: str) -> None:
    with pytest.raises(Invalid) as build:
        build_package(label, CONNECTION)
    with pytest.raises(Invalid) as name:
        package_id(label, b"")
    assert build.value.reason == name.value.reason == "label"


@pytest.mark.parametrize(
    "connection",
    [{}, {"address": ""}, {"address": 7070}, {"address": "a:1", "x": b"bytes"}, {"address": "a:1", "x": float("nan")},
     {"address": "a:1", "root_cert": "x" * (1 << 20)}],
)  # fmt: skip
def test_a_connection_that_no_peer_could_use_is_refused(connection: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        build_package("yilian_1", connection)
    assert refusal.value.reason == "connection"
