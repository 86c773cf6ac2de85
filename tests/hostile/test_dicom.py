"""Images from anywhere: each is taken in and given back whole or refused with a place, soon and in bounded memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pydicom.data
import pytest

from domain.errors import Invalid, YilianError
from node_service.dicom.header import MAX_READS, parse_header
from node_service.records.instances import receive_instance
from node_service.records.series import close_upload
from tests.cpu import frugal, is_frugal
from tests.fuzz import dicom
from tests.hostile.victim import MAX_ANSWER_S, MAX_CPU_S, Victim
from tests.unit.node_service.records.hospital import Hospital, start_hospital
from tests.unit.node_service.records.test_series import content

MIB: Final = 1 << 20
MAX_HEADER_MEMORY_BYTES: Final = 128 * MIB
WHOLE: Final = dicom.seeds()[0]
BEGIN: Final = WHOLE.index(b"\x08\x00\x05\x00")
ENDLESS: Final = b"\xff\xff\xff\xff"
ITEM: Final = b"\xfe\xff\x00\xe0"
NO_ITEM: Final = ITEM + bytes(4)
ITEM_END: Final = b"\xfe\xff\x0d\xe0" + bytes(4)
SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0" + bytes(4)
SEQUENCE: Final = b"\x08\x00\x40\x11SQ\0\0"
MILLION: Final = 1_000_000
PUBLISHED: Final = Path(pydicom.data.__file__).parent


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    opened = start_hospital(tmp_path_factory.mktemp("images"))
    yield opened
    opened.close()


def published() -> list[Path]:
    """The files that come with pydicom: images of many makers, directories, broken and odd ones, and no images."""
    return [path for path in sorted(PUBLISHED.rglob("*")) if path.is_file() and path.suffix not in (".py", ".pyc")]


def test_every_published_file_comes_back_byte_for_byte_or_is_refused_with_a_place(hospital: Hospital) -> None:
    taken: dict[Path, str] = {}
    refused, placeless = Counter[str](), list[str]()
    for path in published():
        begun = time.process_time()
        try:
            taken[path] = receive_instance(hospital.node, path.read_bytes(), "all", path.name[-64:]).record
        except YilianError as error:
            refused[error.reason] += 1
            placeless += [path.name] if not error.place else []
        assert is_frugal(time.process_time() - begun, MAX_CPU_S), path.name
    assert close_upload(hospital.node, "all").dicom_instances >= 150
    for path, record in taken.items():
        assert path.read_bytes() in content(hospital, record), path.name
    assert placeless == []
    assert len(taken) >= 150
    assert {"not-dicom", "wrong-value", "dicomdir"} <= set(refused), refused


def nested(*parts: bytes, of: bytes = SEQUENCE) -> bytes:
    """An image with a sequence of undefined length before its first element."""
    return b"".join((WHOLE[:BEGIN], of, ENDLESS, *parts, SEQUENCE_END, WHOLE[BEGIN:]))


FLOODS: Final[dict[str, Callable[[], bytes]]] = {
    "items-of-length-0": lambda: nested(NO_ITEM * MILLION),
    "items-without-length": lambda: nested((ITEM + ENDLESS + ITEM_END) * MILLION),
    "items-of-an-unknown-element": lambda: nested(NO_ITEM * MILLION, of=b"\x09\x00\x40\x11UN\0\0"),
    "elements-of-one-item": lambda: nested(ITEM + ENDLESS, b"\x08\x00\x05\x00CS\x02\x00  " * MILLION, ITEM_END),
    "elements": lambda: WHOLE[:BEGIN] + b"\x08\x00\x05\x00CS\x02\x00  " * MILLION + WHOLE[BEGIN:],
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_million_items_or_elements_are_refused_in_bounded_time_and_memory(name: str) -> None:
    body = FLOODS[name]()

    def read() -> Invalid:
        with pytest.raises(Invalid) as refused:
            parse_header(body, "s", len(body))
        return refused.value

    refusal = frugal(MAX_CPU_S, read)
    assert (refusal.reason, refusal.place[:5]) == ("too-many", "byte ")


def test_the_most_items_that_are_read_take_bounded_memory() -> None:
    body = nested(NO_ITEM * (MAX_READS // 4))
    tracemalloc.start()
    try:
        assert parse_header(body, "s", len(body)) is not None
        assert tracemalloc.get_traced_memory()[1] <= MAX_HEADER_MEMORY_BYTES
    finally:
        tracemalloc.stop()


def test_groups_of_a_hundred_thousand_frames_are_not_read() -> None:
    """What stands behind the elements that name an image (PS3.3 C.7.6.16 among it) costs nothing."""
    pixels = WHOLE.index(b"\xe0\x7f\x10\x00")
    frames = b"\x00\x52\x30\x92SQ\0\0" + ENDLESS + (ITEM + ENDLESS + ITEM_END) * 100_000 + SEQUENCE_END
    header = frugal(MAX_CPU_S / 4, lambda: parse_header(WHOLE[:pixels] + frames + WHOLE[pixels:], "s", 0))
    assert header is not None
    assert header.instance_number == 7


def test_an_image_that_claims_terabytes_of_pixels_is_kept_as_it_is(hospital: Hospital) -> None:
    """Nothing is decoded, so 65535 rows, columns and 2^31-1 frames claim memory of nobody."""
    rows, columns = b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"
    body = WHOLE.replace(rows + b"\x02\x00", b"\x28\x00\x08\x00IS\x0a\x002147483647" + rows + b"\xff\xff")
    body = body.replace(columns + b"\x02\x00", columns + b"\xff\xff")
    assert body.count(b"\xff\xff") >= 2
    tracemalloc.start()
    try:
        record = receive_instance(hospital.node, body, "flood", "flood").record
        assert tracemalloc.get_traced_memory()[1] <= 16 * MIB
    finally:
        tracemalloc.stop()
    close_upload(hospital.node, "flood")
    assert content(hospital, record) == [body]


@pytest.mark.parametrize("length", [0xFFFE, 0xFFFF_FFFE, 0x7FFF_FFFF])
@pytest.mark.parametrize("at", ["character-set", "patient-id", "unknown"])
def test_an_element_longer_than_the_file_is_refused_with_a_place(at: str, length: int) -> None:
    tag = {"character-set": b"\x08\x00\x05\x00", "patient-id": b"\x10\x00\x20\x00", "unknown": b"\x09\x00\x01\x10"}[at]
    body = WHOLE[:BEGIN] + tag + b"UT\0\0" + struct.pack("<I", length) + b"short" + WHOLE[BEGIN:]
    tracemalloc.start()
    try:
        with pytest.raises(Invalid) as refused:
            parse_header(body, "s", len(body))
        assert tracemalloc.get_traced_memory()[1] <= MIB
    finally:
        tracemalloc.stop()
    assert refused.value.place


def test_eight_large_uploads_at_once_are_taken_or_refused_within_the_memory_of_the_node(victim: Victim) -> None:
    """Images whose first elements have no end, 80 MiB each: the most that each may have looked at, all together."""
    long = b"\x09\x00\x01\x10UN\0\0" + struct.pack("<I", 80 * MIB)
    body = WHOLE[:BEGIN] + long + bytes(80 * MIB)

    def put(number: int) -> int:
        path = f"/api/ingest/dicom?source=s&upload=u{number}"
        answer = victim.post(path, "medical-records", "application/dicom", body, "PUT")
        assert answer.seconds <= MAX_ANSWER_S
        return answer.status

    with victim.unharmed(), ThreadPoolExecutor(8) as senders:
        statuses = list(senders.map(put, range(8)))
    assert set(statuses) <= {400, 503}, statuses
    assert 400 in statuses
