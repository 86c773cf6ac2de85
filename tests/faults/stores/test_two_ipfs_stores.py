"""Two Kubo nodes mirror each other, one is killed: writing and reading go on, and it gets and loses what it missed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.errors import NotFound
from offchain.envelope.content import Description
from offchain.envelope.header import Header
from offchain.envelope.seal import seal_stream
from offchain.stores.ipfs.store import IpfsStore
from offchain.stores.mirrored import MirroredStore
from scripts.kubo import Daemon
from tests.faults.stores.repository import LARGE, holds
from tests.faults.stores.test_kubo_struck import until
from tests.kubo import IMPATIENT, daemon, ipfs_store
from tests.unit.offchain.sealing import KEY, fresh_id, sealed_of
from tests.unit.offchain.stores.test_mirrored import Noon

BOTH = ("own", "other")


@pytest.fixture
def daemons(own: Daemon, tmp_path: Path) -> Iterator[dict[str, Daemon]]:
    with daemon(tmp_path / "other-kubo") as other:
        yield {"own": own, "other": other}


@pytest.fixture
def stores(daemons: dict[str, Daemon], store: IpfsStore, tmp_path: Path) -> Iterator[dict[str, IpfsStore]]:
    with closing(ipfs_store(daemons["other"].url, tmp_path / "other-ipfs", IMPATIENT)) as other:
        yield {"own": store, "other": other}


@pytest.fixture
def mirrored(stores: dict[str, IpfsStore], tmp_path: Path) -> Iterator[MirroredStore]:
    with closing(MirroredStore(list(stores.items()), tmp_path / "mirrors", Noon(), quorum=1)) as opened:
        yield opened


@pytest.mark.parametrize("killed", BOTH)
def test_the_other_one_goes_on_and_a_killed_one_is_brought_to_its_state(
    daemons: dict[str, Daemon], stores: dict[str, IpfsStore], mirrored: MirroredStore, killed: str
) -> None:
    erased, kept = [sealed_of(), sealed_of(LARGE)], [sealed_of(), sealed_of(LARGE)]
    mirrored.put_many([*erased, *kept])
    daemons[killed].strike(signal.SIGKILL)

    new = [sealed_of(), sealed_of(LARGE)]
    mirrored.put_many(new)
    content = bytes(LARGE)
    header = Header.fresh(fresh_id(), "HospitalA")
    streamed = mirrored.put(seal_stream([content], Description("a/b"), KEY, header)).digest
    for one in (*kept, *new):
        with mirrored.get(one.digest) as found:
            assert found.whole().data == one.data
    assert mirrored.delete_many([one.digest for one in erased]) == len(erased)
    for one in erased:
        with pytest.raises(NotFound), mirrored.get(one.digest):
            pass
    assert [name for name, _ in mirrored.unfinished_erasures()] == [killed]
    report = {copy.name: copy for copy in mirrored.report().copies}
    assert (report[killed].well, report[killed].owed_copies, report[killed].owed_erasures) == (False, 3, 2)

    daemons[killed].start()
    until(lambda: not mirrored.settle())
    assert mirrored.unfinished_erasures() == []
    present = sorted([streamed, *(one.digest for one in (*kept, *new))])
    for name in BOTH:
        assert sorted(stores[name].digests()) == present
        for digest in present:
            stores[name].verify(digest)
        for one in erased:
            assert not holds(daemons[name], one.data[300:400])
