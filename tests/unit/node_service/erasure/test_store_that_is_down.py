"""An erasure while a store is down: keys go, readers get nothing, the certificate says where bytes may still lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from domain.erasure import Certificate, WaitingStore, parse_certificate, verify_certificate
from domain.errors import Unavailable
from domain.instants import instant
from node_service.records.reading import open_version
from node_service.records.scrub import check_objects
from offchain.stores import mirrored
from offchain.stores.local import LocalStore
from offchain.stores.mirrored import MirroredStore
from tests.unit.node_service.erasure.office import Office
from tests.unit.node_service.erasure.test_erasing import signing_key
from tests.unit.offchain.stores.switched import SwitchedStore


@pytest.fixture
def second(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwitchedStore]:
    """The second of the hospital's two stores, which holds everything that the first has."""
    monkeypatch.setattr(mirrored, "REST_S", 0.0)
    data = office.node.settings.data_dir
    stores = (("local", LocalStore(data / "objects")), ("other", SwitchedStore(data / "other")))
    with closing(MirroredStore(stores, data / "mirrors", office.node.clock, quorum=1)) as store:
        office.hospital.node = replace(office.node, blobs=store)
        office.restart()
        assert check_objects(office.node) == []
        assert set(stores[1][1].digests()) == set(stores[0][1].digests())
        yield stores[1][1]


def certified(office: Office, case: str) -> Certificate:
    signed = office.case(case).certificate
    assert signed is not None
    return verify_certificate(signed.text, signed.signature, signing_key(office))


def test_the_certificate_names_a_store_that_is_down_until_that_has_deleted_the_objects(
    office: Office, second: SwitchedStore
) -> None:
    record = office.record("Observation")
    digest = open_version(office.node, record).digest
    case = office.ask(record).id
    second.is_down = True
    office.decide(case)
    began = instant(office.node.clock.now())
    office.work()
    (erased,) = certified(office, case).erased
    (waiting,) = erased.waiting
    assert waiting.store == "other"
    assert began <= waiting.since <= erased.erased_at
    assert office.case(case).items[0].waiting[0].since == waiting.since
    assert check_objects(office.node) == []

    second.is_down = False
    assert second.exists(digest)
    assert not office.node.blobs.settle()
    assert not second.exists(digest)
    office.work()
    (erased,) = certified(office, case).erased
    assert erased.waiting == ()


def test_an_erasure_that_comes_before_the_store_fails_names_none(office: Office, second: SwitchedStore) -> None:
    first, other = office.record("Observation"), office.record("Condition")
    earlier = office.ask(first).id
    office.decide(earlier)
    office.work()
    second.is_down = True
    office.story.consortium.clock.advance(60)
    later = office.ask(other).id
    office.decide(later)
    office.work()
    assert certified(office, earlier).erased[0].waiting == ()
    assert len(certified(office, later).erased[0].waiting) == 1


def test_keys_of_all_records_go_before_anybody_waits_for_a_store(
    office: Office, second: SwitchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> int:
        raise Unavailable("no store is up", reason="disk")

    records = [office.record("Observation"), office.record("Condition")]
    case = office.ask(*sorted(records)).id
    office.decide(case)
    with monkeypatch.context() as patched:
        patched.setattr(MirroredStore, "delete_many", down)
        for _ in range(3):
            office.story.consortium.follow()
            with pytest.raises(Unavailable):
                office.work()
    assert all(office.node.custody.forgotten(record) is not None for record in records)
    assert {item.state for item in office.case(case).items} == {"erasing"}
    office.work()
    assert {item.state for item in office.case(case).items} == {"erased"}


def test_a_certificate_without_waiting_stores_reads_and_is_written_as_before(office: Office) -> None:
    case = office.ask(office.record("Observation")).id
    office.decide(case)
    office.work()
    signed = office.case(case).certificate
    assert signed is not None
    assert '"v":1' in signed.text
    assert "waiting" not in signed.text
    certificate = parse_certificate(signed.text)
    waiting = (WaitingStore("other", certificate.issued_at),)
    told = replace(certificate, erased=tuple(replace(one, waiting=waiting) for one in certificate.erased))
    assert '"v":2' in told.encode()
    assert parse_certificate(told.encode()) == told
