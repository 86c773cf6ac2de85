"""What an IPFS node with a hospital's records would show to a public network: nothing readable, no list of a patient's.

A node stores Bundles of several patients in IPFS, some is erased; then everything that Kubo holds is walked: blocks and
how they link, pins and their names, its own file tree, keys, every file of its repository.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from domain.identifiers import encode_bytes
from node_service.database.models import BundleSkeleton, Member, Person, Record, RecordVersion
from node_service.records.ingest import ingest_fhir
from node_service.records.scrub import check_objects
from offchain.envelope.sealed import SealedBytes
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.segment import MAX_TABLE_BYTES, parse_table
from offchain.stores.ipfs.store import IpfsStore
from scripts.kubo import Daemon
from tests.architecture.test_canary import CONTROL, Seeds, history
from tests.canaries import found_in, numbers_in, windows
from tests.files_at_work import files_below
from tests.kubo import daemon
from tests.unit.node_service.records.hospital import MSP_ID, start_hospital
from tests.unit.offchain.sealing import sealed_of

PATIENTS = 6
LARGE = 2_500_000
RAW, DAG_PB = 0x55, 0x70
"""Codecs of CIDs: bytes as they are, a node that links to others."""


@dataclass
class Shown:
    """The daemon, what was stored there, and what must not be seen."""

    kubo: Daemon
    texts: list[str]
    ids: list[str]
    digests: dict[str, str]  # of an object: to whom it belongs
    blocks: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder, seeds = tmp_path_factory.mktemp("hospital"), Seeds()
    with daemon(tmp_path_factory.mktemp("kubo")) as kubo:
        hospital = start_hospital(folder)
        with closing(IpfsStore(KuboRpc(kubo.url), folder / "ipfs", name=MSP_ID)) as store:
            hospital.node = replace(hospital.node, blobs=store)
            for number in range(PATIENTS):
                body = json.dumps(history(seeds), ensure_ascii=False).encode()
                assert not ingest_fhir(hospital.node, body, "application/fhir+json", f"his-{number}").refused
            assert check_objects(hospital.node) == []
            with hospital.node.database.reading() as session:
                persons = {str(record): str(one) for record, one in session.execute(select(Record.id, Record.patient))}
                rows = [*session.execute(select(RecordVersion.digest, RecordVersion.record))]
                others = [*session.scalars(select(Member.digest)), *session.scalars(select(BundleSkeleton.digest))]
                patients = list(session.scalars(select(Person.id)))
            digests = {encode_bytes(digest): persons[record] for digest, record in rows}
            large = sealed_of(LARGE)
            store.put(large)
            store.collect(lambda _: True, datetime.now(UTC) + timedelta(days=2))
            assert set(store.digests()) == {*digests, large.digest, *(encode_bytes(digest) for digest in others)}
            found = Shown(kubo, seeds.made, [*persons, *patients, *digests], digests)
            found.blocks = dict(blocks_of(kubo))
            yield found
        hospital.close()


def test_every_block_that_the_store_made_is_there_to_be_looked_at(shown: Shown) -> None:
    assert len(shown.digests) > 50
    assert sum(map(len, shown.blocks.values())) > 100_000
    assert sorted(shown.digests) == sorted(
        digest for one in segments(shown) for digest in one if digest in shown.digests
    )


def test_nothing_that_went_in_is_readable_in_blocks_or_in_any_file_of_the_repository(shown: Shown) -> None:
    wanted = windows(shown.texts)
    assert not [cid for cid, data in shown.blocks.items() if numbers_in(data, wanted)]
    assert found_in(shown.kubo.folder, shown.texts) == []


def test_the_same_search_finds_a_text_that_was_added_plainly(shown: Shown, tmp_path: Path) -> None:
    with daemon(tmp_path / "kubo") as other, closing(KuboRpc(other.url)) as rpc:
        rpc.add([b"before " + CONTROL.encode() + b" behind"], "control")
        wanted = windows([CONTROL])
        assert [cid for cid, data in blocks_of(other) if numbers_in(data, wanted)]
        assert found_in(other.folder, [CONTROL])


def test_no_id_of_a_record_or_patient_and_no_digest_is_anywhere(shown: Shown) -> None:
    """Not even the digests, by which who reads the ledger's evidence of one record could find its object."""
    wanted = [one.encode() for one in shown.ids]
    seen = [*shown.blocks.values(), *(path.read_bytes() for path in files_below(shown.kubo.folder))]
    seen.append(call(shown.kubo, "pin/ls", type="all", names="true").content)
    seen.append(call(shown.kubo, "refs/local").content)
    assert not [number for number, content in enumerate(seen) if any(one in content for one in wanted)]


def test_no_block_is_a_directory_and_no_name_tells_anything(shown: Shown) -> None:
    nodes = [links for cid in shown.blocks if (links := links_of(shown.kubo, cid)) is not None]
    assert len(nodes) == 2, "the root of the large object, and Kubo's own empty directory"
    assert sorted(len(links) for links in nodes) == [0, 3]
    assert not [link for links in nodes for link in links if link["Name"]]
    assert call(shown.kubo, "files/ls", arg="/").json()["Entries"] is None
    assert [key["Name"] for key in call(shown.kubo, "key/list").json()["Keys"]] == ["self"]
    pins = call(shown.kubo, "pin/ls", type="recursive", names="true").json()["Keys"].values()
    assert {pin["Name"] for pin in pins} == {"", f"yilian/{MSP_ID}"}


def test_objects_that_lie_together_are_of_many_patients_in_no_order(shown: Shown) -> None:
    packed = [[shown.digests[one] for one in held if one in shown.digests] for held in segments(shown) if len(held) > 1]
    assert packed
    for patients in packed:
        assert len(set(patients)) == PATIENTS
        changes = sum(one != following for one, following in pairwise(patients))
        assert changes > 2 * PATIENTS, "each patient's objects would lie beside each other"


def segments(shown: Shown) -> list[list[str]]:
    """The digests of the objects of each file, as whoever reads it computes them."""
    with closing(KuboRpc(shown.kubo.url)) as rpc:
        files = [b"".join(rpc.stream(cid)) for cid in rpc.pins(f"yilian/{MSP_ID}")]
    return [list(_objects(data)) for data in files]


def _objects(data: bytes) -> Iterator[str]:
    if not data.startswith(b"YLNS"):
        yield SealedBytes.of(data).digest
        return
    for span in parse_table(data[:MAX_TABLE_BYTES], len(data)):
        yield SealedBytes.of(data[span.offset : span.offset + span.length]).digest


def blocks_of(kubo: Daemon) -> Iterator[tuple[str, bytes]]:
    for line in call(kubo, "refs/local").text.splitlines():
        cid = json.loads(line)["Ref"]
        yield cid, call(kubo, "block/get", arg=cid, offline="true").content


def links_of(kubo: Daemon, cid: str) -> list[dict[str, Any]] | None:
    """What a block links to, if it reads as a node; blocks are listed as raw whatever they are."""
    data = bytearray(base64.b32decode(cid[1:].upper() + "=" * (-(len(cid) - 1) % 8)))
    assert data[:2] == bytes((1, RAW))
    data[1] = DAG_PB
    node = "b" + base64.b32encode(data).decode().lower().rstrip("=")
    answer = httpx.post(f"{kubo.url}/api/v0/dag/get", params={"arg": node, "offline": "true"}, trust_env=False)
    if answer.status_code != 200:
        return None
    links: list[dict[str, Any]] = answer.json()["Links"]
    return links


def call(kubo: Daemon, name: str, **params: Any) -> httpx.Response:
    answer = httpx.post(f"{kubo.url}/api/v0/{name}", params=params, timeout=30, trust_env=False)
    return answer.raise_for_status()
